"""Messages of the tool that several suites expect."""

# About a directory before anything was installed in it. Then the tool makes no index.
NOT_A_SITE = "is not a site directory: it has another name, and holds no distribution"
