#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""libbraidway-node-memory.so as others get it: what it exports, and what is installed of it."""

import glob
import os
import re

from braidway import ROOT, Skip, expect, expect_equal, main, need_tools

PACKAGING = os.path.join(ROOT, "packaging", "node-memory")


def library_of(stage):
    path = os.path.join(stage.build, "lib", "libbraidway-node-memory.so")
    if not os.path.exists(path):
        raise Skip(f"there is no {path}")
    return path


def cached(stage, variable):
    """What the build was configured with."""
    with open(os.path.join(stage.build, "CMakeCache.txt")) as cache:
        found = re.search(rf"^{variable}:[A-Z]+=(.*)$", cache.read(), re.M)
    return found[1] if found else ""


def install(stage, component):
    cmake = cached(stage, "CMAKE_COMMAND") or "cmake"
    need_tools(cmake)
    root = stage.path("root")
    stage.run(cmake, "--install", stage.build, "--prefix", "/usr", "--component", component,
              env=dict(os.environ, DESTDIR=root))
    return root


def story_exports_the_listed_names_and_no_other(stage):
    need_tools("nm", "readelf")
    library = library_of(stage)
    lines = stage.run("nm", "-D", "--defined-only", library).stdout.split("\n")
    # The name of the version itself is absolute (A).
    found = sorted(line.split()[2] for line in lines if line and line.split()[1] != "A")
    with open(os.path.join(PACKAGING, "libbraidway-node-memory.symbols")) as listed:
        wanted = sorted(listed.read().split())
    expect_equal(found, wanted, "names that the library exports; a change of them is a change of "
                                "the ABI, which libbraidway-node-memory.symbols keeps")
    dynamic = stage.run("readelf", "-d", library).stdout
    expect("[libbraidway-node-memory.so.0]" in dynamic, f"SONAME: {dynamic}")


def story_program_builds_with_what_is_installed_and_runs(stage):
    compiler = cached(stage, "CMAKE_C_COMPILER") or "cc"
    need_tools("pkg-config", compiler)
    library_of(stage)
    root = install(stage, "node-memory-library")
    found = glob.glob(f"{root}/usr/**/braidway-node-memory.pc", recursive=True)
    expect_equal(len(found), 1, "installed .pc files")
    environment = dict(os.environ, PKG_CONFIG_PATH=os.path.dirname(found[0]))
    asked = stage.run("pkg-config", "--cflags", "--libs", "braidway-node-memory", env=environment)
    flags = asked.stdout.split()
    expect(all(stage.folder in each for each in flags if each[:2] in ("-I", "-L")),
           f"flags point into the installed tree: {flags}")
    sanitize = cached(stage, "BRAIDWAY_SANITIZE")
    source = os.path.join(ROOT, "tests", "memory", "reclaim", "c_program.c")
    stage.run(compiler, "-std=c11", "-Wall", "-Wextra", "-Wpedantic", "-Werror", source,
              *([f"-fsanitize={sanitize}"] if sanitize else []),
              "-o", stage.path("program"), *flags)
    folder = next(each[2:] for each in flags if each.startswith("-L"))
    done = stage.run(stage.path("program"), env=dict(os.environ, LD_LIBRARY_PATH=folder))
    print(f"  {done.stdout.strip()}")
    version = stage.run("pkg-config", "--modversion", "braidway-node-memory", env=environment)
    expect(version.stdout.strip() in done.stdout, f"version {version.stdout} in {done.stdout}")


def story_manual_pages_are_installed(stage):
    root = install(stage, "manual-pages")
    found = {os.path.relpath(each, root) for each in glob.glob(f"{root}/usr/share/man/*/*")}
    expect("usr/share/man/man3/free_node_memory.3" in found, f"installed pages: {sorted(found)}")


if __name__ == "__main__":
    main(__doc__, program="")
