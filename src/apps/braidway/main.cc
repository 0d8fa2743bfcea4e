// SPDX-License-Identifier: Apache-2.0
#include <csignal>
#include <iostream>

#include "apps/braidway/program.h"
#include "daemon/assembly.h"

int main(int argc, char** argv) {
    std::signal(SIGPIPE, SIG_IGN);
    return braidway::apps::run({argv + 1, argv + argc}, {std::cout, std::cerr},
                               braidway::daemon::Assembly::start);
}
