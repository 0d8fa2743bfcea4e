#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The lock libraries as others get them: what they export, and the examples built with them."""

import glob
import os
import re

from braidway import ROOT, Skip, expect, expect_equal, main, need_tools
from installed import cached, exported_names, install, library_of, package_flags, soname

HERE = os.path.dirname(os.path.abspath(__file__))
EXAMPLES = os.path.join(ROOT, "docs", "examples")
SYMBOLS = os.path.join(ROOT, "packaging", "sync", "libbraidway-sync.symbols")


def examples_of(room):
    """Explorer examples include a header of explore/, those of sync one of sync/ alone; others need
    no library. Those of more than one file are in folders of their own, and are not built here."""
    def rooms(path):
        with open(path) as source:
            return set(re.findall(r"#include <braidway/([a-z]+)/", source.read()))

    found = [path for path in sorted(glob.glob(f"{EXAMPLES}/*.cc"))
             if room in rooms(path) and (room == "explore" or "explore" not in rooms(path))]
    expect(found, f"there are examples of {room}")
    return found


def standard_of(path):
    """The oldest C++ that the headers of an example are for: docs/locks.md."""
    with open(path) as source:
        newer = re.search(r"sync/(shared_rw_semaphore|shared_memory|user_\w+|with_user_access)\.h",
                          source.read())
    return "c++23" if newer else "c++20"


def build_and_run(stage, sources, flags, sanitizer="", settings=None):
    """Builds each example with `flags` and nothing else of ours, and runs it. `sanitizer`: the
    program's own, where the library was built without one; `settings`: its environment."""
    compiler = cached(stage, "CMAKE_CXX_COMPILER")
    need_tools(compiler)
    sanitize = sanitizer or cached(stage, "BRAIDWAY_SANITIZE")
    folder = next(each[2:] for each in flags if each.startswith("-L"))
    for source in sources:
        program = stage.path(os.path.basename(source)[:-3])
        stage.run(compiler, f"-std={standard_of(source)}", "-O1", "-Wall", "-Wextra", "-Wpedantic", "-Wshadow",
                  "-Wconversion", "-Wold-style-cast", "-Werror",
                  *([f"-fsanitize={sanitize}"] if sanitize else []),
                  source, "-o", program, *flags)
        done = stage.run(program, env=dict(os.environ, LD_LIBRARY_PATH=folder, **(settings or {})))
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


def story_locks_need_the_standard_libraries_only(stage):
    library = library_of(stage, "libbraidway-sync.so")
    if cached(stage, "BRAIDWAY_SANITIZE"):
        raise Skip("a sanitizer's libraries are needed, too")
    need_tools("readelf", "strip")
    dynamic = stage.run("readelf", "-dW", library).stdout
    needed = re.findall(r"NEEDED.*\[(\w[\w+-]*)\.so", dynamic)
    others = sorted(set(needed) - {"libstdc++", "libgcc_s", "libc", "libm", "ld-linux-x86-64", "ld-linux-aarch64"})
    expect_equal(others, [], "libraries that a user of the locks would have to install")
    if cached(stage, "CMAKE_BUILD_TYPE") != "Release":
        return
    # Debug information names the folders for debuggers; what is shipped without it does not.
    shipped = stage.path("stripped.so")
    stage.run("strip", "-o", shipped, library)
    with open(shipped, "rb") as binary:
        expect(ROOT.encode() not in binary.read(), "messages do not name the build's folders")


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


def story_a_users_address_sanitizer_knows_the_explorers_stacks(stage):
    """A test built with -fsanitize=address, and the library as it is installed, without."""
    library_of(stage, "libbraidway-explore.a")
    if cached(stage, "BRAIDWAY_SANITIZE"):
        raise Skip("the library is instrumented itself")
    install(stage, "sync-library")
    root = install(stage, "explore-library")
    flags, _ = package_flags(stage, root, "braidway-explore")
    for use_after_return in (0, 1):
        build_and_run(stage, [os.path.join(HERE, "explore_under_asan.cc")], flags, "address",
                      {"ASAN_OPTIONS": f"detect_stack_use_after_return={use_after_return}"})


if __name__ == "__main__":
    main(__doc__, program="")
