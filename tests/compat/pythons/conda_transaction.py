"""Brings an environment of conda to a wanted state, by rattler: the library of pixi and rattler-build.

The arguments: a channel, the environment, the package cache, and the packages that are wanted.
"""

import asyncio
import os
import pathlib
import sys

import rattler


async def main(channel, prefix, cache, *specs):
    channel = pathlib.Path(channel)
    await rattler.index.index_fs(channel)
    records = await rattler.solve([channel.as_uri()], specs, platforms=["linux-64", "noarch"])
    await rattler.install(records, prefix, cache_dir=cache, show_progress=False)


asyncio.run(main(*sys.argv[1:]))
# Threads of rattler go on, and an interpreter that ends beside them sometimes crashes.
os._exit(0)
