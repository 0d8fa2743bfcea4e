// SPDX-License-Identifier: Apache-2.0
// Explores the deadlock of the futex and mmap_sem, found in 2005, and what was proposed against it.
//
//   futex_2005            the verdict on every scenario
//   futex_2005 NAME...    the whole report on these
//   futex_2005 --svg NAME the same as a picture
#include "futex_2005.h"

#include <cstdio>
#include <string>
#include <string_view>
#include <vector>

int main(int count, char** arguments) {
    const std::vector<std::string_view> names(arguments + 1, arguments + count);
    std::fputs(futex_2005::output(names).c_str(), stdout);
}
