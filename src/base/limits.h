// SPDX-License-Identifier: Apache-2.0
// Long because: every limit of the system is in one place.
// A value that users can change has its default here and its bounds beside it.
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
/// The start of the pool that is registered with the kernel: pinned, so it counts as resident. Less
/// than half of what an ordinary user may lock (8 MiB).
inline constexpr size_t registered_bytes = 3u << 20;
inline constexpr unsigned io_workers_max = 8;  ///< Threads of the epoll backend.
/// Completions that one turn of a loop drains before it looks at the kernel again.
inline constexpr unsigned ready_per_turn_max = 4096;
/// So long a lane looks for the one answer that it waits for, before it sleeps: about what it takes
/// to fall asleep, to be woken by another CPU, and to come back.
inline constexpr Duration look_length = 50us;
/// So often that is left out, at most, where it was in vain.
inline constexpr uint32_t looks_left_out_max = 1024;
/// And at least: a look in vain costs more than one that finds something saves.
inline constexpr uint32_t looks_left_out_min = 8;
/// Longer sends may find too little room in a socket to be sent in one go.
inline constexpr size_t quick_send_bytes_max = 64u << 10;

// --- files -------------------------------------------------------------------------------------
/// Ranges of one file that are known to be holes; more are forgotten.
inline constexpr size_t hole_ranges_max = 1024;
/// Holes that are looked for when the first path to a file opens it.
inline constexpr int holes_learnt_max = 256;

// --- SCSI commands to disks of the kernel -------------------------------------------------------
inline constexpr size_t sg_workers_max = 4;      ///< Threads of one disk, stuck ones included.
inline constexpr uint32_t sg_commands_max = 64;  ///< Of one disk, waiting and stuck ones included.
/// The kernel answers a command that timed out after it has recovered the device, which may take
/// minutes; it is not waited for longer than this.
inline constexpr Duration sg_answer_grace = 2s;

// --- lockcheck: what tells acquisitions apart ----------------------------------------------------
/// Return addresses of which it is known whether they are in a wrapper of a lock function.
inline constexpr size_t lockcheck_call_places_max = 4096;
inline constexpr size_t lockcheck_call_depth_max = 6;  ///< Wrappers around a wrapper.
/// Wrappers are small: a larger frame is none's.
inline constexpr size_t lockcheck_wrapper_frame_bytes_max = 1024;
/// Further locks that a thread held, told with one step of a finding.
inline constexpr unsigned lockdep_also_held_max = 8;

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

// --- paths over iSCSI --------------------------------------------------------------------------
inline constexpr Duration iscsi_connect_timeout_default = 10s;
/// How long an abort or reset may take before the session is given up.
inline constexpr Duration iscsi_task_management_timeout_default = 5s;
inline constexpr Duration iscsi_keepalive_default = 5s;
inline constexpr Duration iscsi_resend_quiesce_default = 30s;
/// Requests of one path; the rest of the volume's waits above it.
inline constexpr uint32_t iscsi_requests_default = volume_requests_default + 64;
inline constexpr uint32_t iscsi_commands_default = 64;  ///< At the target; what LIO takes.
/// A target that takes fewer commands at a time is not believed.
inline constexpr uint32_t iscsi_window_min = 4;
inline constexpr unsigned iscsi_tries_max = 5;  ///< Of a command that is answered BUSY.
inline constexpr Duration iscsi_busy_pause = 20ms;
/// What is late and only half sent gets so long to leave.
inline constexpr Duration iscsi_drain_grace = 20ms;
inline constexpr uint64_t iscsi_push_bytes = 256u << 10;  ///< Then the socket is written to.
inline constexpr size_t iscsi_pieces_max = 256;           ///< Of a command's memory.
inline constexpr unsigned iscsi_redirects_max = 3;        ///< Portals that send a login on.
inline constexpr size_t iscsi_uri_bytes_max = 4096;
inline constexpr size_t iscsi_name_bytes_max = 223;  ///< RFC 7143, 4.2.7.1.
inline constexpr size_t chap_bytes_max = 255;        ///< Of a user or a secret: libiscsi's.
/// A read or write is cut into commands of at most this, so that several are under way.
inline constexpr uint64_t scsi_transfer_bytes_max = 1u << 20;
/// Freeing and zeroing go on inside the disk, which must answer within the I/O's time.
inline constexpr uint64_t scsi_range_bytes_max = 256u << 20;
inline constexpr uint64_t scsi_zeroes_bytes_max = 256u << 10;  ///< Zeroes written as data.
inline constexpr uint16_t scsi_page_bytes_max = 4096;          ///< Of a page that is asked for.
inline constexpr size_t scsi_names_page_bytes_max = 16384;  ///< Of a page that says it is longer.
inline constexpr unsigned scsi_attentions_max = 16;  ///< Told one after another by a new session.
inline constexpr unsigned scsi_identify_tries_max = 5;
inline constexpr unsigned scsi_check_tries_max = 5;  ///< Of a TEST UNIT READY with attentions.
inline constexpr Duration scsi_identify_timeout = 10s;

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

// --- TLS ---------------------------------------------------------------------------------------
inline constexpr size_t tls_file_bytes_max = 1u << 20;   ///< Of keys or of certificates.
inline constexpr size_t tls_psk_users_max = 4096;        ///< In one file of pre-shared keys.
inline constexpr size_t tls_receive_bytes = 128u << 10;  ///< Encrypted, of one connection.
inline constexpr size_t tls_send_bytes = 256u << 10;     ///< In one send, of one connection.

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
/// How long the requests of a path that leaves its map may take before its connections end.
inline constexpr Duration leaving_path_patience = 10s;
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

// --- lock validator (lockdep) -------------------------------------------------------------------
/// Of the validator, all in all: what it must not take from a program.
inline constexpr size_t lockdep_bytes_max = size_t{64} << 20;
/// Lock classes with a key. Of more, each lock is its own.
inline constexpr uint32_t lockdep_classes_max = 8'192;
/// Chains that are known to be validated; of more, some are validated again.
inline constexpr uint32_t lockdep_chains_max = 65'536;
/// Of one chain of classes, by what else is held; then one stands for the rest.
inline constexpr uint32_t lockdep_chain_variants_max = 8;
inline constexpr size_t lockdep_stack_frames_max = 24;  ///< Of one stack that is kept.
/// Frames of all stacks; those that begin alike share them.
inline constexpr size_t lockdep_stack_nodes_max = 262'144;
/// Of the lock order: classes, and locks within a class.
inline constexpr uint32_t lockdep_nodes_max = 65'536;
inline constexpr uint32_t lockdep_steps_max = 1 << 18;  ///< From one node to another.
/// Of one step that are told apart by their gates.
inline constexpr unsigned lockdep_ways_max = 8;
/// Of all steps, besides the first of each.
inline constexpr uint32_t lockdep_extra_ways_max = 1 << 18;
/// Locks that one way is known to be held under; fewer gates, more reports.
inline constexpr uint32_t lockdep_gates_max = 16;
/// Of 4 bytes, for the gates of all ways.
inline constexpr uint32_t lockdep_gate_words_max = 1 << 22;
/// Forgotten locks whose memory waits before another lock gets it: others may still look.
inline constexpr size_t lockdep_locks_kept_min = 1'024;
/// The same for those that a report may name.
inline constexpr size_t lockdep_evidence_kept_min = 4'096;
/// Locks of a bucket that a search without a lock looks at: it may be led in circles.
inline constexpr size_t lockdep_bucket_looks_max = 4'096;
/// Locks that have gone and whose type may be found out later: the last ones.
inline constexpr uint32_t lockdep_formers_max = 1'024;
/// Findings that are not reported twice; more are not reported at all.
inline constexpr size_t lockdep_seen_findings_max = 1'024;
/// For the classes of all rings that were reported.
inline constexpr uint32_t lockdep_ring_words_max = 1 << 13;
/// Of one ring that are kept and told; longer ones are found, too.
inline constexpr size_t lockdep_ring_steps_max = 16;
/// Steps tried in one search for a ring: about a millisecond. Gates that differ from step to
/// step make the search exponential; what was not found by then is hardly a ring that
/// somebody could follow.
inline constexpr uint32_t lockdep_search_tries_max = 32'768;
/// After so many searches that were given up, each has half the tries, down to a thousand: a
/// program with 10^5 hopeless steps loses seconds by it, not minutes.
inline constexpr uint32_t lockdep_search_patience = 64;
/// Ways looked at backward in all searches: some tenths of a second.
inline constexpr uint64_t lockdep_search_looks_max = uint64_t{1} << 25;
/// In one search after that: enough for all of a component of some tens of steps.
inline constexpr uint32_t lockdep_search_looks_min = 1'024;
/// Held locks, from the first, from which one acquisition adds steps. Who holds more has
/// steps from the others by earlier acquisitions; a ring through a lock in the middle alone
/// is missed.
inline constexpr uint32_t lockdep_first_steps_max = 128;
inline constexpr uint32_t lockdep_last_steps_max = 128;  ///< The same from the last.
/// Classes that turn out to be one; of more, the last ones stay what they are.
inline constexpr size_t lockdep_merge_members_max = 8'192;
/// Rings of one merge; more are not reported.
inline constexpr size_t lockdep_merge_findings_max = 32;
/// Locks that have gone, but are evidence of steps within a merged class.
inline constexpr size_t lockdep_merge_instances_max = 256;
/// That a thread took lately, for whoever joins it.
inline constexpr size_t lockdep_taken_locks_max = 64;
/// Whose locks are remembered until they are joined.
inline constexpr size_t lockdep_ended_threads_max = 256;
/// Locks that stand for the end of a thread in reports about joins, in turns.
inline constexpr size_t lockdep_thread_ends_max = 64;
/// Gates of what a handler and the code that it interrupts take.
inline constexpr size_t lockdep_signal_gates_max = 8;
/// Locks that handlers take, with the signals that they handle.
inline constexpr size_t lockdep_handler_wants_max = 64;
/// Of a thread, within each other; deeper ones are not told apart.
inline constexpr uint32_t lockdep_handlers_max = 4;
/// Locks held by who waits at a condition or notifies it.
inline constexpr size_t lockdep_wait_holds_max = 4;
/// Locks that a thread takes before it notifies.
inline constexpr size_t lockdep_notifier_needs_max = 16;
/// Of one condition that held something; of more, nothing is certain.
inline constexpr size_t lockdep_waiters_max = 4;
/// Of one condition; of more, nothing is certain.
inline constexpr size_t lockdep_notifiers_max = 4;
/// Of one condition, where somebody waits with locks held.
inline constexpr size_t lockdep_wait_places_max = 8;
/// Of a thread: who made it, who made that one, and so on.
inline constexpr size_t lockdep_ancestors_max = 4;
/// Of a thread, for its short way. Powers of two, like the next three.
inline constexpr size_t lockdep_locks_cached_min = 32;
inline constexpr size_t lockdep_locks_cached_max = 512;  ///< From lockdep_cache_misses_max on.
inline constexpr size_t lockdep_chains_cached_min = 64;
inline constexpr size_t lockdep_chains_cached_max = 1'024;
/// Of a thread with small caches; then it gets large ones, 28 KiB.
inline constexpr uint32_t lockdep_cache_misses_max = 128;
/// Held locks that a thread has room for before it asks for memory.
inline constexpr size_t lockdep_held_min = 16;
/// In builds that watch their own locks: a wait that lasts so long looks whether it hangs.
inline constexpr Duration watch_hang_after = 3s;
inline constexpr Duration watch_look_interval = 500ms;  ///< And then again.

// --- lockcheck: the library in the program ------------------------------------------------------
/// Of one process; more are counted, but neither kept nor shown.
inline constexpr uint32_t lockcheck_findings_max = 1'000;
/// Of one process; more is refused unread.
inline constexpr size_t lockcheck_document_bytes_max = size_t{64} << 20;
/// What a line that does not move has for later findings.
inline constexpr size_t lockcheck_document_spare_bytes = 64u << 10;
/// For the lock of the JSON file: whoever has it writes a few kilobytes.
inline constexpr Duration lockcheck_file_patience = 10s;
inline constexpr Duration lockcheck_file_pause = 5ms;  ///< Between tries to get it.
/// Classes whose types are asked for at the end; each is a look into debug information.
inline constexpr size_t lockcheck_types_asked_max = 4'096;
/// On which the validator works, so that a program needs no more stack than without.
inline constexpr size_t lockcheck_own_stack_bytes = 65'536;
/// Of what starts the renderer beside the program.
inline constexpr size_t lockcheck_helper_stack_bytes = 65'536;
/// Put on the stack of a child of vfork() for exec; with more, that program goes unwatched.
inline constexpr size_t lockcheck_arguments_bytes_max = size_t{512} << 10;
/// Taken for the first thread's stack where it has no limit.
inline constexpr size_t lockcheck_main_stack_bytes_max = size_t{64} << 20;
/// Stacks may be endless where code has no unwind tables.
inline constexpr size_t lockcheck_frames_walked_max = 512;
/// Return addresses that tell apart who initialises.
inline constexpr size_t lockcheck_class_frames = 6;
/// Of the C and C++ libraries before the program's.
inline constexpr size_t lockcheck_library_frames_max = 10;
inline constexpr size_t lockcheck_wrappers_max = 6;  ///< Wrappers of wrappers of wrappers.
/// Of code: wrappers are short, and a longer function knows what it initialises.
inline constexpr size_t lockcheck_wrapper_bytes_max = 1'024;
/// Up to this size, an offset says which member a lock is; in larger blocks it rather says
/// which element of an array.
inline constexpr uint64_t lockcheck_object_bytes_max = 4'096;
/// So many locks with nothing besides are rather a struct; more are an array.
inline constexpr uint64_t lockcheck_struct_locks_max = 3;
/// How far before an address the beginning of its block is looked for.
inline constexpr size_t lockcheck_heap_scan_bytes_max = 65'536;
/// Places looked at for one caller of malloc(); then its blocks have none.
inline constexpr size_t lockcheck_site_probes_max = 16;
/// Aliases and nested symbols are few; looking back further finds nothing.
inline constexpr size_t lockcheck_symbols_back_max = 8;
/// With locks in them, of which one dlclose() asks whether they went.
inline constexpr size_t lockcheck_modules_max = 64;
/// Locks on stacks whose frames are remembered at once.
inline constexpr size_t lockcheck_stack_watches_max = 4'096;
/// Of those, asked whether their lock is gone before a fresh one is taken.
inline constexpr size_t lockcheck_stack_watch_looks_max = 16;
/// Places that used a lock in the frame that is remembered.
inline constexpr size_t lockcheck_stack_sites_max = 3;
/// Words that look like return addresses, above a lock on another thread's stack.
inline constexpr size_t lockcheck_stack_signs_max = 3;
/// How far above it they are looked for.
inline constexpr uintptr_t lockcheck_stack_signs_bytes = 768;
/// From a fiber's frame to a lock that is taken to be on its stack.
inline constexpr uintptr_t lockcheck_fiber_bytes_max = uintptr_t{256} << 10;
/// Made to be shared between processes: few. With more, each is taken for one of those.
inline constexpr uint32_t lockcheck_shared_spinlocks_max = 256;
/// Tries for a spinlock before the clock is read.
inline constexpr int lockcheck_spins_between_looks = 1'000;
/// Names of threads that have ended, for reports.
inline constexpr size_t lockcheck_thread_names_max = 1 << 20;
inline constexpr size_t lockcheck_handlers_max = 16;  ///< Handlers of a thread within each other.
/// Waits and notifications of a thread that need no look; a power of two.
inline constexpr size_t lockcheck_meetings_cached = 128;
/// Times that one of them is told to the validator again.
inline constexpr uint32_t lockcheck_meetings_told_max = 100;
/// Between two looks of a wait for a hang: doubled from the first to the last.
inline constexpr Duration lockcheck_hang_pause_min = 100ms;
inline constexpr Duration lockcheck_hang_pause_max = 1s;

// --- lockcheck: the program ---------------------------------------------------------------------
inline constexpr Duration lockcheck_hang_after_max = 24h;  ///< Of --hang-after.
/// A state file of a run that is gone is left alone for so long.
inline constexpr Duration lockcheck_state_kept = 1h;
inline constexpr size_t lockcheck_suppressions_bytes_max = 4u << 20;  ///< Of one file.
/// Of a generated suppression: enough to be precise, few enough to outlive a change
/// elsewhere.
inline constexpr size_t lockcheck_frames_generated_max = 4;
inline constexpr size_t lockcheck_frames_shown_max = 24;  ///< Of one stack; the JSON has them all.
/// The program waits for the renderer; a file system that hangs must not keep it for ever.
inline constexpr Duration lockcheck_render_patience = 60s;
/// A program waits at its end for the types of locks: what is not known by then stays so.
inline constexpr Duration lockcheck_types_time_max = 1500ms;
/// The runtime waits no longer than that, whatever hangs.
inline constexpr Duration lockcheck_types_patience = 2s;
inline constexpr size_t lockcheck_question_bytes_max = 16u << 20;  ///< Of one question about types.
/// Program headers and the dynamic linker's name are at a file's beginning, wherever a linker
/// is sane.
inline constexpr size_t lockcheck_program_head_bytes = 64u << 10;
/// As the kernel: a script's interpreter may be a script.
inline constexpr int lockcheck_scripts_max = 4;
/// Of a module's debug information that is read for types.
inline constexpr uint64_t lockcheck_debug_bytes_max = 500u << 20;
/// Entries of it within each other, and references from one to the next.
inline constexpr int lockcheck_debug_depth_max = 64;
/// Looked at in one unit for a name; large ones have some 100,000.
inline constexpr size_t lockcheck_unit_entries_max = 200'000;
/// Blocks, namespaces and inlined functions within each other.
inline constexpr int lockcheck_unit_scopes_max = 200;
/// Structures within structures that a member's name leads through.
inline constexpr int lockcheck_named_depth_max = 16;
/// Structures within structures, where a lock is looked for.
inline constexpr int lockcheck_type_depth_max = 24;
/// The same, where each structure is looked at in full.
inline constexpr int lockcheck_type_parts_depth_max = 6;
/// For one lock: malformed ones may contain each other many times.
inline constexpr int lockcheck_types_looked_at_max = 10'000;
/// Of an array in a structure whose locks are listed.
inline constexpr uint64_t lockcheck_type_elements_max = 4;
/// More than this around a lock is something that has one, unless it ends in "lock" or the
/// like.
inline constexpr uint64_t lockcheck_lock_extra_bytes_max = 64;
inline constexpr int lockcheck_pointers_max = 4;  ///< Pointers to pointers, and the like.
/// Wrappers around an allocation or initialisation that are gone through.
inline constexpr size_t lockcheck_making_frames_max = 12;
/// An object's constructor is called within that much code behind the allocation.
inline constexpr size_t lockcheck_constructor_code_bytes = 128;
/// A variable that is declared in the line of a call gets the result that soon.
inline constexpr uint64_t lockcheck_result_code_bytes = 32;

}  // namespace braidway::limits
