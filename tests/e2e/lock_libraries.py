#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The lock libraries as others get them: what they export, and the examples built with them."""

import glob
import os
import re

from braidway import ROOT, expect, expect_equal, main, need_tools
from installed import cached, exported_names, install, library_of, package_flags, soname

EXAMPLES = os.path.join(ROOT, "docs", "examples")
SYMBOLS = os.path.join(ROOT, "packaging", "sync", "libbraidway-sync.symbols")


def examples_of(room):
    """Explorer examples include a header of explore/, all others belong to sync."""
    def rooms(path):
        with open(path) as source:
            return set(re.findall(r"#include <braidway/([a-z]+)/", source.read()))

    found = [path for path in sorted(glob.glob(f"{EXAMPLES}/*.cc"))
             if ("explore" in rooms(path)) == (room == "explore")]
    expect(found, f"there are examples of {room}")
    return found


def standard_of(path):
    """The oldest C++ that the headers of an example are for: docs/locks.md."""
    with open(path) as source:
        return "c++23" if "shared_rw_semaphore.h" in source.read() else "c++20"


def build_and_run(stage, sources, flags):
    """Builds each example with `flags` and nothing else of ours, and runs it."""
    compiler = cached(stage, "CMAKE_CXX_COMPILER")
    need_tools(compiler)
    sanitize = cached(stage, "BRAIDWAY_SANITIZE")
    folder = next(each[2:] for each in flags if each.startswith("-L"))
    for source in sources:
        program = stage.path(os.path.basename(source)[:-3])
        stage.run(compiler, f"-std={standard_of(source)}", "-O1", "-Wall", "-Wextra", "-Wpedantic", "-Wshadow",
                  "-Wconversion", "-Wold-style-cast", "-Werror",
                  *([f"-fsanitize={sanitize}"] if sanitize else []),
                  source, "-o", program, *flags)
        done = stage.run(program, env=dict(os.environ, LD_LIBRARY_PATH=folder))
        print(f"  {os.path.basename(source)}: {done.stdout.strip()}")


def story_locks_export_the_listed_names_and_no_other(stage):
    library = library_of(stage, "libbraidway-sync.so")
    found = exported_names(stage, library)
    with open(SYMBOLS) as listed:
        wanted = sorted(listed.read().split())
    lost = sorted(set(wanted) - set(found))
    expect_equal(lost, [], "names that programs may use and the library has no more")
    # What is inline has a copy in the library or has not, as the compiler likes.
    strong = exported_names(stage, library, without="AWVu")
    new = "".join(f"\n{name}" for name in sorted(set(strong) - set(wanted)))
    expect(not new, f"names that are not in {SYMBOLS}; add them, and do not let them go:{new}")
    expect_equal(soname(stage, library), "libbraidway-sync.so.0", "SONAME")


def story_examples_build_with_the_installed_locks_and_run(stage):
    library_of(stage, "libbraidway-sync.so")
    root = install(stage, "sync-library")
    flags, _ = package_flags(stage, root, "braidway-sync")
    build_and_run(stage, examples_of("sync"), flags)


def story_examples_build_with_the_installed_explorer_and_run(stage):
    library_of(stage, "libbraidway-explore.a")
    install(stage, "sync-library")
    root = install(stage, "explore-library")
    flags, _ = package_flags(stage, root, "braidway-explore")
    build_and_run(stage, examples_of("explore"), flags)


if __name__ == "__main__":
    main(__doc__, program="")
