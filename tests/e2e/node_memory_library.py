#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""libbraidway-node-memory.so as others get it: what it exports, and what is installed of it."""

import glob
import os

from braidway import ROOT, expect, expect_equal, main, need_tools
from installed import cached, exported_names, install, library_of, package_flags, soname

LIBRARY = "libbraidway-node-memory.so"
PACKAGING = os.path.join(ROOT, "packaging", "node-memory")


def story_exports_the_listed_names_and_no_other(stage):
    library = library_of(stage, LIBRARY)
    with open(os.path.join(PACKAGING, "libbraidway-node-memory.symbols")) as listed:
        wanted = sorted(listed.read().split())
    expect_equal(exported_names(stage, library), wanted,
                 "names that the library exports; a change of them is a change of the ABI, which "
                 "libbraidway-node-memory.symbols keeps")
    expect_equal(soname(stage, library), "libbraidway-node-memory.so.0", "SONAME")


def story_program_builds_with_what_is_installed_and_runs(stage):
    compiler = cached(stage, "CMAKE_C_COMPILER") or "cc"
    need_tools(compiler)
    library_of(stage, LIBRARY)
    root = install(stage, "node-memory-library")
    flags, version = package_flags(stage, root, "braidway-node-memory")
    sanitize = cached(stage, "BRAIDWAY_SANITIZE")
    source = os.path.join(ROOT, "tests", "memory", "reclaim", "c_program.c")
    stage.run(compiler, "-std=c11", "-Wall", "-Wextra", "-Wpedantic", "-Werror", source,
              *([f"-fsanitize={sanitize}"] if sanitize else []),
              "-o", stage.path("program"), *flags)
    folder = next(each[2:] for each in flags if each.startswith("-L"))
    done = stage.run(stage.path("program"), env=dict(os.environ, LD_LIBRARY_PATH=folder))
    print(f"  {done.stdout.strip()}")
    expect(version in done.stdout, f"version {version} in {done.stdout}")


def story_manual_pages_are_installed(stage):
    root = install(stage, "manual-pages")
    found = {os.path.relpath(each, root) for each in glob.glob(f"{root}/usr/share/man/*/*")}
    expect("usr/share/man/man3/free_node_memory.3" in found, f"installed pages: {sorted(found)}")


if __name__ == "__main__":
    main(__doc__, program="")
