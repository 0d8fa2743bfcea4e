// SPDX-License-Identifier: Apache-2.0
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <iostream>
#include <string_view>

#include "apps/lockcheck/execute.h"
#include "apps/lockcheck/program.h"
#include "apps/lockcheck/render.h"
#include "apps/lockcheck/state_file.h"
#include "apps/lockcheck/type_groups.h"

int main(int argc, char** argv) {
    namespace lockcheck = braidway::lockcheck;
    // How the runtime calls it, inside a program that is watched; not for users.
    if (argc == 2 && std::string_view(argv[1]) == "--render") return lockcheck::run_render();
    if (argc == 2 && std::string_view(argv[1]) == "--types") return lockcheck::run_types();
    std::error_code error;
    return lockcheck::run_lockcheck(
        {argv + 1, argv + argc},
        {.out = std::cout,
         .error = std::cerr,
         .folder = std::filesystem::current_path(error).string(),
         .self = std::filesystem::read_symlink("/proc/self/exe", error).string(),
         .pid = getpid(),
         .parent = getppid(),
         .state_folder = lockcheck::state_folder(std::getenv("TMPDIR")),
         .value_of = [](const char* name) -> const char* { return std::getenv(name); },
         .start = lockcheck::execute});
}
