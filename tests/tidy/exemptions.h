// SPDX-License-Identifier: Apache-2.0
// What the rules of the house leave alone, and why. An entry that is no longer needed is a finding.
#pragma once

#include <array>

#include "tidy/rules.h"

namespace braidway::tidy {

/// Units without a test of their own name; the reason names the test that covers them.
inline constexpr std::array untested{
    Exemption{"src/apps/braidway/api_client.cc",
              "tests/apps/braidway/program_test.cc runs its command lines"},
    Exemption{"src/apps/braidway/demo.cc",
              "tests/apps/braidway/program_test.cc runs its command lines"},
    Exemption{"src/apps/braidway/demo_config.cc",
              "tests/apps/braidway/program_test.cc runs its command lines"},
    Exemption{"src/apps/braidway/events.cc",
              "tests/apps/braidway/program_test.cc runs its command lines"},
    Exemption{"src/apps/braidway/main.cc", "tests/e2e run the program"},
    Exemption{"src/apps/braidway/map_commands.cc",
              "tests/apps/braidway/program_test.cc runs its command lines"},
    Exemption{"src/apps/braidway/notify.cc",
              "tests/apps/braidway/service_test.cc runs whole daemons"},
    Exemption{"src/apps/braidway/overrides.cc",
              "tests/apps/braidway/program_test.cc runs its command lines"},
    Exemption{"src/apps/braidway/path_commands.cc",
              "tests/apps/braidway/program_test.cc runs its command lines"},
    Exemption{"src/apps/braidway/places.cc",
              "tests/apps/braidway/program_test.cc runs its command lines"},
    Exemption{"src/apps/braidway/reloading_target.cc",
              "tests/apps/braidway/service_test.cc runs whole daemons"},
    Exemption{"src/apps/braidway/serve.cc",
              "tests/apps/braidway/program_test.cc runs its command lines"},
    Exemption{"src/apps/braidway/show.cc",
              "tests/apps/braidway/program_test.cc runs its command lines"},
    Exemption{"src/apps/free_node_memory/fuse_files.cc",
              "tests/apps/free_node_memory/fuse_server_test.cc mounts them"},
    Exemption{"src/apps/free_node_memory/own_pages.cc",
              "tests/e2e/node_memory.py: exact by the kernel's own count"},
    Exemption{"src/apps/free_node_memory/mount.cc", "tests/e2e/node_memory_mount.py mounts"},
    Exemption{"src/apps/slurm_spank/clean_node.cc",
              "tests/e2e/node_memory_slurm.py loads it into Slurm"},
    Exemption{"src/base/clock.cc", "reads the machine's clocks; there is no right answer to test"},
    Exemption{"src/daemon/api.cc", "tests/daemon/api_server_test.cc: its only caller"},
    Exemption{"src/daemon/assembly.cc",
              "tests/e2e/lifecycle.py starts, reloads and stops the whole"},
    Exemption{"src/daemon/config_join.cc", "tests/daemon/config_test.cc: its only caller"},
    Exemption{"src/daemon/config_maps.cc", "tests/daemon/config_test.cc: its only caller"},
    Exemption{"src/daemon/config_paths.cc", "tests/daemon/config_test.cc: its only caller"},
    Exemption{"src/daemon/config_reader.cc", "tests/daemon/config_test.cc: its only caller"},
    Exemption{"src/daemon/config_sections.cc", "tests/daemon/config_test.cc: its only caller"},
    Exemption{"src/daemon/exports.cc",
              "tests/e2e/lifecycle.py starts, reloads and stops the whole"},
    Exemption{"src/apps/free_node_memory/commands.cc",
              "tests/apps/free_node_memory/program_test.cc runs every command line"},
    Exemption{"src/apps/free_node_memory/free_command.cc",
              "tests/apps/free_node_memory/program_test.cc runs every command line"},
    Exemption{"src/apps/free_node_memory/main.cc",
              "tests/apps/free_node_memory/program_test.cc runs all but signals"},
    Exemption{"src/apps/free_node_memory/progress.cc",
              "tests/apps/free_node_memory/program_test.cc draws it"},
    Exemption{"src/apps/free_node_memory/status.cc",
              "tests/apps/free_node_memory/program_test.cc runs every command line"},
    Exemption{"src/daemon/layer_parameters.cc",
              "tests/daemon/layer_config_test.cc: its only caller"},
    Exemption{"src/daemon/path_unit.cc", "tests/daemon/volume_test.cc"},
    Exemption{"src/daemon/running.cc",
              "tests/e2e/lifecycle.py starts, reloads and stops the whole"},
    Exemption{"src/daemon/volume_snapshot.cc", "tests/daemon/volume_test.cc"},
    Exemption{"src/map/handler_driver.cc", "tests/sim/handler_map_test.cc, over a scripted array"},
    Exemption{"src/map/frame_words.h", "tests/map: what every request of a map goes through"},
    Exemption{"src/loop/epoll_loop.cc",
              "tests/loop/loop_test.cc, files_test.cc and sockets_test.cc"},
    Exemption{"src/loop/helper_thread.cc",
              "tests/loop/loop_test.cc, files_test.cc and sockets_test.cc"},
    Exemption{"src/loop/named_thread.cc",
              "tests/loop/loop_test.cc, files_test.cc and sockets_test.cc"},
    Exemption{"src/loop/uring_entry.cc",
              "tests/loop/loop_test.cc, files_test.cc and sockets_test.cc"},
    Exemption{"src/loop/uring_loop.cc",
              "tests/loop/loop_test.cc, files_test.cc and sockets_test.cc"},
    Exemption{"src/explore/chooser.h",
              "tests/explore/dpor_test.cc: what clashes decides what it finds"},
    Exemption{"src/explore/dependence.cc", "tests/explore/dpor_test.cc: what it compares"},
    Exemption{"src/explore/futex_steps.cc",
              "tests/explore/dpor_test.cc runs random ones, execution_test.cc each kind"},
    Exemption{"src/explore/kills.cc",
              "tests/explore/dpor_test.cc runs random ones, execution_test.cc each kind"},
    Exemption{"src/explore/word_access.h", "tests/explore/world_test.cc and record_test.cc"},
    Exemption{"src/explore/steps.cc",
              "tests/explore/dpor_test.cc runs random ones, execution_test.cc each kind"},
    Exemption{"src/sync/sync.cc", "compiles the headers of the room and does nothing"},
    Exemption{"src/sim/scsi_path.cc", "tests/sim/handler_map_test.cc: every I/O goes through it"},
};

/// Headers that nobody includes but their own unit and test.
inline constexpr std::array<Exemption, 0> unincluded{};

/// Functions that were longer than the ratchet allows when they came.
inline constexpr std::array<LongFunction, 0> long_ones{};

}  // namespace braidway::tidy
