# SPDX-License-Identifier: Apache-2.0
"""What stories about installed libraries share: install one component, and ask pkg-config for it."""

import glob
import os
import re

from braidway import Skip, expect, expect_equal, need_tools


def library_of(stage, name):
    """The path of a library of the build; skips the story where it was not built."""
    path = os.path.join(stage.build, "lib", name)
    if not os.path.exists(path):
        raise Skip(f"there is no {path}")
    return path


def cached(stage, variable):
    """What the build was configured with."""
    with open(os.path.join(stage.build, "CMakeCache.txt")) as cache:
        found = re.search(rf"^{variable}:[A-Z]+=(.*)$", cache.read(), re.M)
    return found[1] if found else ""


def install(stage, component):
    """Installs a component below a folder of the story, and returns the folder."""
    cmake = cached(stage, "CMAKE_COMMAND") or "cmake"
    need_tools(cmake)
    root = stage.path("root")
    stage.run(cmake, "--install", stage.build, "--prefix", "/usr", "--component", component,
              env=dict(os.environ, DESTDIR=root))
    return root


def package_flags(stage, root, package):
    """What pkg-config says about `package` of the tree below `root`: flags, version."""
    need_tools("pkg-config")
    found = glob.glob(f"{root}/usr/**/{package}.pc", recursive=True)
    expect_equal(len(found), 1, f"installed {package}.pc files")
    # LIBDIR and not PATH: nothing of the machine's own.
    environment = dict(os.environ, PKG_CONFIG_LIBDIR=os.path.dirname(found[0]))
    environment.pop("PKG_CONFIG_PATH", None)
    asked = stage.run("pkg-config", "--cflags", "--libs", package, env=environment)
    flags = asked.stdout.split()
    expect(all(stage.folder in each for each in flags if each[:2] in ("-I", "-L")),
           f"flags point into the installed tree: {flags}")
    version = stage.run("pkg-config", "--modversion", package, env=environment)
    return flags, version.stdout.strip()


def exported_names(stage, library, without="A"):
    """The names, with their versions, that a shared library shows, sorted; without those of some
    of nm's types. The name of the version itself is absolute (A)."""
    need_tools("nm")
    lines = stage.run("nm", "-D", "--defined-only", library).stdout.split("\n")
    return sorted(line.split()[2] for line in lines if line and line.split()[1] not in without)


def soname(stage, library):
    need_tools("readelf")
    found = re.search(r"SONAME.*\[(.*)\]", stage.run("readelf", "-d", library).stdout)
    return found[1] if found else ""
