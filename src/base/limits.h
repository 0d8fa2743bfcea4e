// SPDX-License-Identifier: Apache-2.0
// Every limit of the system, in one place. A value that users can change has its default here and
// its bounds beside it.
#pragma once

#include <cstddef>
#include <cstdint>

#include "base/time.h"

namespace braidway::limits {

using namespace std::chrono_literals;

// --- configuration -----------------------------------------------------------------------------
inline constexpr size_t name_bytes_max = 128;         ///< Of a path, map or export.
inline constexpr size_t config_bytes_max = 4u << 20;  ///< Of a configuration file.
inline constexpr size_t paths_max = 1024;             ///< In one map, as in the kernel.
inline constexpr size_t groups_max = 1024;            ///< In one map, as in the kernel.
inline constexpr size_t layers_max = 8;               ///< Small devices on one path.
inline constexpr size_t maps_max = 1024;
inline constexpr size_t exports_max = 1024;
/// Of polling_interval and the other keys about checks.
inline constexpr Duration interval_min = 10ms;
inline constexpr Duration interval_max = 24h;
inline constexpr uint64_t device_bytes_max = uint64_t{1} << 62;  ///< Of a zero or error device.
inline constexpr uint32_t block_bytes_min = 512;                 ///< Of the key block_size.
inline constexpr uint32_t block_bytes_max = 65536;
inline constexpr Duration delay_max = 1h;  ///< Of each parameter of a layer.

// --- one request -------------------------------------------------------------------------------
/// Completion stages of one request: export, map, path and layers_max small devices.
inline constexpr size_t frames_max = layers_max + 4;
/// Payload of one read or write. NBD clients may send this much when nothing was negotiated.
inline constexpr uint32_t payload_bytes_max = 32u << 20;
/// Requests on one path whose first answer was lost or refused are tried at most this often.
inline constexpr uint32_t attempts_max = 16;

// --- one volume --------------------------------------------------------------------------------
inline constexpr uint32_t volume_requests_default = 1024;
inline constexpr uint32_t volume_requests_max = 65536;
/// Payload in flight; below the lane's pool, so that one volume leaves something to the others.
inline constexpr uint64_t volume_bytes_default = 3 * uint64_t{payload_bytes_max};
/// Held requests (no path left): at most this many and this many bytes; then clients are not read.
inline constexpr uint32_t held_requests_default = 1024;
inline constexpr uint64_t held_bytes_default = 64u << 20;
inline constexpr Duration no_path_timeout_default = 60s;
/// Before a request goes out again that a path refused for want of memory or requests.
inline constexpr Duration requeue_delay = 100ms;
/// A write whose answer was lost waits this long for the path's word that it cannot happen any
/// more.
inline constexpr Duration fence_patience_default = 60s;
/// Activation of a priority group by its hardware handler.
inline constexpr uint32_t pg_init_retries_max = 50;
inline constexpr Duration pg_init_delay_default = 2s;
inline constexpr Duration pg_init_delay_max = 60s;

// --- one lane ----------------------------------------------------------------------------------
/// Buffer pool: address space, touched as it is used. The payload limit is a quarter of it.
inline constexpr size_t pool_bytes_default = 4 * size_t{payload_bytes_max};
inline constexpr unsigned ring_entries = 1024;
inline constexpr unsigned ring_files = 4096;  ///< Descriptors registered with io_uring.
/// The start of the pool that is registered with the kernel: pinned, so it counts as resident. Half
/// of what an ordinary user may lock (8 MiB).
inline constexpr size_t registered_bytes = 4u << 20;
inline constexpr unsigned io_workers_max = 8;  ///< Threads of the epoll backend.
/// Completions that one turn of a loop drains before it looks at the kernel again.
inline constexpr unsigned ready_per_turn_max = 4096;

// --- files -------------------------------------------------------------------------------------
/// Ranges of one file that are known to be holes; more are forgotten.
inline constexpr size_t hole_ranges_max = 1024;
/// Holes that are looked for when the first path to a file opens it.
inline constexpr int holes_learnt_max = 256;

// --- paths over a network ----------------------------------------------------------------------
inline constexpr Duration connect_timeout_default = 5s;
inline constexpr uint32_t nbd_path_connections_default = 4;
inline constexpr uint32_t nbd_path_connections_max = 16;
/// Commands of one connection that a server has at a time; more wait here, surely not executed.
inline constexpr uint32_t nbd_path_window = 64;
/// A connection gets so many before the next one is used: what QEMU and nbdkit work on at a time.
inline constexpr uint32_t nbd_path_fill = 16;
/// Between commands that keep an idle connection known to be alive.
inline constexpr Duration nbd_path_keepalive_default = 15s;
/// After a connection's end, until a write that it lost is taken for dead where nobody can know.
inline constexpr Duration nbd_resend_quiesce_default = 10s;
inline constexpr Duration unix_backlog_pause = 10ms;  ///< A server's queue is full: look again.
/// Ranges of a fingerprint, and their bytes together.
inline constexpr size_t fingerprint_ranges_max = 16;
inline constexpr uint32_t fingerprint_read_bytes_max = 1u << 20;

// --- NBD server --------------------------------------------------------------------------------
inline constexpr uint32_t nbd_connections_default = 256;  ///< Per daemon.
inline constexpr uint32_t nbd_connections_max = 65536;
inline constexpr uint32_t nbd_requests_per_connection = 256;
inline constexpr uint64_t nbd_bytes_per_connection = 32u << 20;
inline constexpr size_t nbd_option_bytes_max = 65536;  ///< Data of one option.
inline constexpr size_t nbd_string_bytes_max = 4096;   ///< As the protocol says.
inline constexpr size_t nbd_receive_bytes = 128u << 10;
inline constexpr Duration nbd_handshake_timeout = 10s;
/// A request whose header or payload stopped arriving half-way.
inline constexpr Duration nbd_request_timeout = 30s;
/// A client that does not take its replies.
inline constexpr Duration nbd_send_timeout = 60s;
inline constexpr size_t extents_per_reply_max = 1024;
inline constexpr uint32_t nbd_minimum_block_max = 65536;  ///< As the protocol says.
inline constexpr uint32_t nbd_payload_min = 4096;         ///< Of the key maximum_payload.
/// The payload of a refused request is read and thrown away up to this much; a longer one ends the
/// connection.
inline constexpr uint64_t nbd_discard_bytes_max = 2 * uint64_t{payload_bytes_max};
/// After the server's last word, it waits this long for the client to close.
inline constexpr Duration nbd_linger_timeout = 1s;
/// While others wait for what it holds, a client that stands still for this long is closed.
inline constexpr Duration nbd_stall_timeout = 5s;
inline constexpr Duration nbd_accept_pause = 100ms;    ///< After accept() found no descriptor.
inline constexpr int nbd_backlog = 1024;               ///< Connections that wait for accept().
inline constexpr int nbd_unix_buffer_bytes = 1 << 20;  ///< Of a socket to a client.
inline constexpr size_t nbd_send_bytes = 1u << 20;     ///< In one send, about.

// --- checks of paths ---------------------------------------------------------------------------
inline constexpr Duration polling_interval_default = 5s;
inline constexpr Duration max_polling_interval_default = 20s;
inline constexpr Duration checker_timeout_default = 30s;
/// A path that does not answer an I/O for this long is failed.
inline constexpr Duration io_timeout_default = 30s;

// --- control -----------------------------------------------------------------------------------
inline constexpr size_t api_request_bytes_max = 1u << 20;
inline constexpr size_t events_kept = 4096;
inline constexpr size_t event_followers_max = 16;
inline constexpr size_t api_command_workers = 8;  ///< Threads that followers never take.
inline constexpr int api_backlog = 128;
inline constexpr Duration api_deadline = 5s;
inline constexpr Duration shutdown_timeout_default = 10s;
/// After a drain: for clients that do not take their last replies, and for checks under way.
inline constexpr Duration shutdown_grace = 1s;
/// How often a drain looks whether it is over, and removed paths whether they are quiet.
inline constexpr Duration drain_interval = 2ms;
inline constexpr Duration sweep_interval = 20ms;
/// A killed daemon's TCP port is free again within some milliseconds.
inline constexpr Duration listen_patience = 500ms;

// --- node memory -------------------------------------------------------------------------------
inline constexpr uint32_t node_max = 1023;  ///< Highest NUMA node, as in the largest kernels.
/// Of /sys, /proc and debugfs in one piece: lru_gen and numa_maps of large machines.
inline constexpr size_t machine_file_bytes_max = 64u << 20;
inline constexpr Duration reclaim_budget_default = 5min;
/// A scheduler waits for its prolog, and takes the machine out of service when it takes too long.
inline constexpr Duration reclaim_job_budget_default = 10s;
inline constexpr Duration reclaim_budget_max = 24h;
/// Reclaim itself needs some memory: page tables, zram, requests to write.
inline constexpr uint64_t reclaim_keep_free_default = 32u << 20;
/// One call, so that a run can be cancelled and shows progress.
inline constexpr uint64_t reclaim_file_chunk = 256u << 20;
inline constexpr uint64_t reclaim_anon_chunk = 32u << 20;
inline constexpr uint64_t reclaim_chunk_min = 128u << 10;  ///< The kernel's smallest batch.
/// The kernel's statistics of cgroups are at most this old; then it knows what is hot.
inline constexpr Duration reclaim_stats_age = 2200ms;
inline constexpr unsigned reclaim_stats_waits_max = 3;
/// Between tries while another reclaimer holds the node: doubled from the first to the last.
inline constexpr Duration reclaim_busy_wait_min = 5ms;
inline constexpr Duration reclaim_busy_wait_max = 1s;
/// Page cache of our own that opens the kernel's gate: 1 % of a node of 800 GiB.
inline constexpr uint64_t ballast_bytes_max = uint64_t{8} << 30;
inline constexpr Duration reclaim_writeback_poll = 2ms;  ///< How often its end is looked for.
/// How often a run that waits for another one looks whether the lock is free.
inline constexpr Duration reclaim_lock_poll = 5ms;
/// A policy file for jobs: some words and lists of paths, read as root.
inline constexpr size_t policy_bytes_max = 64u << 10;
/// Paths or names in one list; each is walked or compared in a run.
inline constexpr size_t settings_list_max = 256;
/// One write to a control file, by whoever may write it; one page, as for files of /sys.
inline constexpr size_t control_bytes_max = 4096;
/// A process with fewer bytes of files in memory is not worth the time of looking into it.
inline constexpr uint64_t guard_large_bytes = 16u << 20;
/// Of mapped files that are noted before they are locked: 16 bytes each.
inline constexpr size_t guard_ranges_max = 1u << 20;
/// Directories in each other; each holds a descriptor open.
inline constexpr size_t walk_depth_max = 200;
/// In one call to MGLRU: what is old goes first, then two generations are made and what they let
/// go.
inline constexpr unsigned reclaim_mglru_rounds_max = 4;
inline constexpr uint64_t reclaim_slab_chunk = 64u << 20;  ///< Walks some 300,000 objects.
/// Cgroups looked at for those bound to a node; a machine full of containers has some thousands.
inline constexpr size_t cgroups_walked_max = 100'000;
/// Writers that wait for their turn at the control files; each costs a descriptor.
inline constexpr size_t control_writers_max = 64;
/// Open control files; each may hold a text that is being read.
inline constexpr size_t control_handles_max = 1024;
/// For a write that is cancelled because the mount ends, which is to be over within 3 s.
inline constexpr Duration control_stop_patience = 2s;
/// Files that are opened in one call of fadvise: about 0.2 s.
inline constexpr uint64_t advice_files_per_call = 20'000;
/// To say who holds memory: some seconds of looking at files; then it is said that more were not.
inline constexpr uint64_t holders_files_max = 1'000'000;
inline constexpr Duration holders_budget = 20s;
inline constexpr size_t holders_cgroups_max = 20'000;
/// Pages of a file that are asked for their node: a share is then right within about 6 %.
inline constexpr size_t holders_samples = 64;
/// Dropping caches for a known state is repeated as long as it brings something: inodes whose pages
/// went in one pass go in the next.
inline constexpr unsigned known_state_passes_max = 3;
inline constexpr uint64_t known_state_pass_min = 4u << 20;  ///< What other work makes meanwhile.
/// Two states are the same when their amounts differ by no more than the larger of these: what
/// daemons and the kernel use differs by some ten MiB from boot to boot.
inline constexpr uint64_t known_state_tolerance_percent = 2;
inline constexpr uint64_t known_state_tolerance_bytes = 64u << 20;
/// A saved fingerprint; one of 1024 nodes takes half of this.
inline constexpr size_t fingerprint_bytes_max = 1u << 20;

inline constexpr size_t holders_top_max = 10'000;  ///< Rows of one table that anybody reads.

}  // namespace braidway::limits
