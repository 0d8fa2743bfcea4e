// SPDX-License-Identifier: Apache-2.0
#include "apps/free_node_memory/own_pages.h"

#include <fcntl.h>
#include <unistd.h>

#include <array>
#include <set>
#include <string>

#include "memory/reclaim/process_maps.h"

namespace braidway::apps {
namespace {

constexpr size_t piece_bytes = 64u << 10;

void read_twice(const std::string& path) {
    const int file = open(path.c_str(), O_RDONLY | O_CLOEXEC);
    if (file < 0) return;
    std::array<char, piece_bytes> piece;
    for (int round = 0; round < 2; ++round) {
        off_t at = 0;
        ssize_t got = 0;
        while ((got = pread(file, piece.data(), piece.size(), at)) > 0) at += got;
    }
    close(file);
}

}  // namespace

void keep_own_pages() {
    std::string text;
    if (memory::read_process_file("/proc/self/maps", text) != 0) return;
    std::set<std::string> paths;
    std::string_view rest = text;
    memory::Mapping mapping;
    while (memory::next_mapping(rest, mapping))
        if (mapping.is_file()) paths.emplace(mapping.path);
    for (const std::string& path : paths) read_twice(path);
}

}  // namespace braidway::apps
