"""Prints the extensions that stevedore finds in some namespaces, and loads one driver."""

from stevedore import DriverManager, ExtensionManager

NAMESPACES = ["bandit.formatters", "bandit.blacklists", "bandit.plugins", "oslo.config.opts", "moths.drivers"]

for namespace in NAMESPACES:
    for extension in ExtensionManager(namespace):
        print(namespace, extension.name, extension.entry_point_target, extension.module_name)
print(DriverManager("bandit.formatters", "json").driver.__name__)
