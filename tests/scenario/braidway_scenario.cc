// SPDX-License-Identifier: Apache-2.0
// braidway-scenario: answers the lines of one scenario as dm-multipath 1.14.0 would, for
// `mpscn run --backend 'cmd:braidway-scenario'`. Reads lines on standard input, answers each with
// record lines and a line with a dot; ends at end of input. Takes no arguments.
#include <exception>
#include <iostream>
#include <string>

#include "scenario.h"

int main(int count, char** words) {
    if (count > 1) {
        std::cerr << words[0] << ": takes no arguments; reads a scenario on standard input\n";
        return 2;
    }
    braidway::scenario::Scenario scenario;
    for (std::string line; std::getline(std::cin, line);) {
        try {
            for (const std::string& record : scenario.step(line)) std::cout << record << '\n';
        } catch (const std::exception& problem) {
            // A word is missing, or is no number; the standard library says it so.
            std::cout << "! ValueError: " << problem.what() << '\n';
        }
        std::cout << ".\n" << std::flush;
    }
    return 0;
}
