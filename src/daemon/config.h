// SPDX-License-Identifier: Apache-2.0
// braidway.toml as values: what exists and how it behaves, checked, with defaults filled in.
#pragma once

#include <cstdint>
#include <expected>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/limits.h"
#include "base/time.h"
#include "daemon/control.h"
#include "daemon/layer_config.h"
#include "export/nbd_address.h"
#include "path/iscsi_uri.h"
#include "path/nbd_fingerprint.h"
#include "tls/tls_context.h"
#include "wire/nbd_handshake.h"
#include "wire/nbd_uri.h"

namespace braidway::daemon {

/// Where an export listens.
using Address = exports::NbdAddress;

/// [api]: the control socket.
struct ApiConfig {
    std::string socket = "/run/braidway/api.sock";
    uint32_t mode = 0600;  ///< Of the socket file.
    uint32_t line = 0;

    friend bool operator==(const ApiConfig& one, const ApiConfig& other) {
        return one.socket == other.socket && one.mode == other.mode;
    }
};

/// How the loops do I/O.
enum class IoBackend : uint8_t {
    automatic,  ///< io_uring where the kernel allows it, else epoll.
    io_uring,
    epoll,
};

/// What a line of the log looks like.
enum class LogFormat : uint8_t {
    automatic,  ///< journald when stderr goes to the journal, else text.
    text,       ///< Time, level and the event.
    journald,   ///< "<4>" before each line; the journal knows the time.
};

/// [daemon]: the process.
struct DaemonConfig {
    IoBackend io_backend = IoBackend::automatic;
    Severity log_level = Severity::info;
    LogFormat log_format = LogFormat::automatic;
    Duration shutdown_timeout = limits::shutdown_timeout_default;
    uint32_t nbd_connections_max = limits::nbd_connections_default;

    friend bool operator==(const DaemonConfig&, const DaemonConfig&) = default;
};

/// How a path is checked. Resolved: the path's own keys, else its map's, else [defaults].
struct CheckConfig {
    enum class Checker : uint8_t {
        automatic,  ///< tur on paths that a hardware handler serves, else directio: a port that
                    ///< waits for its activation reads nothing.
        directio,   ///< Reads the first block.
        tur,        ///< TEST UNIT READY; directio where the device takes no SCSI commands.
        none,       ///< No checks: a failed path stays failed until an operator reinstates it.
    };
    Checker checker = Checker::automatic;
    Duration polling_interval = limits::polling_interval_default;
    Duration max_polling_interval = limits::max_polling_interval_default;
    Duration timeout = limits::checker_timeout_default;

    friend bool operator==(const CheckConfig&, const CheckConfig&) = default;
};

/// How an NBD export is used; path::NbdDeviceOptions says more.
struct NbdPathConfig {
    wire::NbdUri uri;
    uint32_t connections = limits::nbd_path_connections_default;
    Duration connect_timeout = limits::connect_timeout_default;
    std::optional<Duration> keepalive = limits::nbd_path_keepalive_default;
    Duration resend_quiesce = limits::nbd_resend_quiesce_default;  ///< 0 = off.
    bool drops_closed = false;
    bool shared_cache = true;
    std::vector<path::FingerprintRange> fingerprint;

    friend bool operator==(const NbdPathConfig&, const NbdPathConfig&) = default;
};

/// How a unit of an iSCSI target is used; path::IscsiOptions says more.
struct IscsiPathConfig {
    path::IscsiUri uri;
    std::string initiator;  ///< Empty: made of `host`.
    /// With the path's name what its initiator port is made of: the host; daemon and map on it.
    std::string host{};
    std::string place{};
    std::string chap_secret_file{};         ///< Empty = none. Read when the path connects.
    std::string chap_mutual_secret_file{};  ///< The same.
    bool data_digest = false;
    Duration connect_timeout = limits::iscsi_connect_timeout_default;
    Duration task_management_timeout = limits::iscsi_task_management_timeout_default;
    std::optional<Duration> keepalive = limits::iscsi_keepalive_default;
    Duration resend_quiesce = limits::iscsi_resend_quiesce_default;  ///< 0 = off.

    friend bool operator==(const IscsiPathConfig&, const IscsiPathConfig&) = default;
};

/// What is at the bottom of a path.
struct DeviceConfig {
    enum class Kind : uint8_t {
        file,   ///< A file or block device: `path`.
        zero,   ///< Reads zeroes, forgets writes: `size_bytes`.
        error,  ///< Fails everything: `size_bytes`.
        nbd,    ///< An export of an NBD server: `nbd`.
        iscsi,  ///< A unit of an iSCSI target: `iscsi`.
    };
    Kind kind = Kind::file;
    std::string path;
    uint64_t size_bytes = 0;
    bool holes = false;  ///< zero: says that it is one hole.
    NbdPathConfig nbd{};
    IscsiPathConfig iscsi{};

    /// Whether it is at the other end of a network, and may come and go.
    bool is_fabric() const { return kind == Kind::nbd || kind == Kind::iscsi; }
    /// How long a write whose answer was lost may still happen; 0 where none can be lost.
    Duration resend_quiesce() const;
    /// "file:/srv/disk.img", "zero:1073741824", "nbd://host:10809/disk"; without secrets.
    std::string text() const;
    friend bool operator==(const DeviceConfig&, const DeviceConfig&) = default;
};

/// [path.NAME]
struct PathConfig {
    std::string name;
    uint32_t line = 0;
    DeviceConfig device;
    std::vector<LayerConfig> layers;     ///< Innermost first.
    std::optional<Duration> io_timeout;  ///< Nothing: I/O may take for ever.
    bool read_only = false;
    std::optional<uint32_t> block_bytes;  ///< Nothing: the device's own (zero and error: 512).
    CheckConfig check;
};

/// A path's place in a group.
struct GroupPath {
    std::string path;
    /// service-time's relative_throughput, 0..100; 0 = only when no other is left.
    std::optional<uint32_t> weight;
    /// The selector's words for this path, as in a table line; empty with `weight`.
    std::vector<std::string> arguments{};

    /// What the selector is told: `arguments`, or the words that `weight` stands for.
    std::vector<std::string> selector_words() const;
    friend bool operator==(const GroupPath&, const GroupPath&) = default;
};

/// One priority group of a map, as it is configured.
struct GroupConfig {
    std::string name;  ///< For people: "controller A". May be empty.
    std::string selector = "service-time";
    std::vector<std::string> selector_arguments{};  ///< The selector's own words; most take none.
    std::vector<GroupPath> paths;

    friend bool operator==(const GroupConfig&, const GroupConfig&) = default;
};

/// What a map does with I/O when no path is left.
struct NoPathConfig {
    bool queue = true;
    /// How long held I/O waits; nothing = for ever.
    std::optional<Duration> timeout = limits::no_path_timeout_default;

    friend bool operator==(const NoPathConfig&, const NoPathConfig&) = default;
};

/// Which hardware handler a map has, and how it is asked to activate paths.
struct HandlerConfig {
    bool automatic =
        true;          ///< The one that suits the first path that works; then there is no name.
    std::string name;  ///< "alua", "emc", "rdac", "hp_sw"; empty = none.
    std::vector<std::string> words;  ///< Behind the name in a table line.
    uint32_t retries = 3;            ///< As pg_init_retries of a table; the kernel has 0.
    std::optional<Duration> delay;   ///< Nothing: limits::pg_init_delay_default.

    friend bool operator==(const HandlerConfig&, const HandlerConfig&) = default;
};

/// [map.NAME]
struct MapConfig {
    std::string name;
    uint32_t line = 0;
    std::vector<GroupConfig> groups;  ///< At least one; numbers are from 1.
    uint32_t initial_group = 1;
    NoPathConfig no_path;
    uint32_t held_requests_max = limits::held_requests_default;
    uint64_t held_bytes_max = limits::held_bytes_default;
    uint32_t attempts_max = limits::attempts_max;
    /// What becomes of writes whose answer was lost; multipath::FencePolicy.
    std::optional<Duration> quiesce_time;
    Duration fence_timeout = limits::fence_patience_default;
    bool kernel_strict = false;
    bool read_only = false;
    /// What its paths over a network and to SCSI disks must lead to; empty: what the first that
    /// works leads to.
    std::string wwid;
    HandlerConfig handler{};
};

/// [export.NAME]
struct ExportConfig {
    std::string name;
    uint32_t line = 0;
    std::string map;
    std::vector<Address> nbd;  ///< At least one.
    bool read_only = false;
    std::string description;
    std::optional<uint32_t> minimum_block;    ///< Nothing: the map's block size.
    std::optional<uint32_t> maximum_payload;  ///< Nothing: limits::payload_bytes_max.
    bool extended_headers = true;
    wire::NbdTls tls = wire::NbdTls::off;
    tls::TlsServerConfig tls_files{};  ///< Where `tls` is off they are not read.
};

/// A whole configuration. Maps, paths and exports are in the order of the file. Names are unique,
/// every path is in exactly one map, every export's map is there.
struct Config {
    std::string file;  ///< Empty for the demo's own.
    ApiConfig api;
    DaemonConfig daemon;
    std::vector<PathConfig> paths;
    std::vector<MapConfig> maps;
    std::vector<ExportConfig> exports;

    const PathConfig* path(std::string_view name) const;
    const MapConfig* map(std::string_view name) const;
    const ExportConfig* find_export(std::string_view name) const;
    /// The map that has the path, or nullptr.
    const MapConfig* map_of_path(std::string_view name) const;
};

/// One thing that is wrong with a configuration file.
struct ConfigProblem {
    std::string file;
    uint32_t line = 0;     ///< 0: of the file as a whole.
    std::string key;       ///< "path.a1.device"; empty where no key is to blame.
    std::string expected;  ///< What is wrong and what was expected, one line.

    /// "braidway.toml:7: path.a1.device: ...".
    std::string text() const;
};

/// What is wrong, in the order of the file.
using ConfigProblems = std::vector<ConfigProblem>;

/// Reads the text of a configuration. `file` is for messages; relative file names in it start from
/// the folder of `file`. Pure: opens nothing.
/// Errors: every problem of the text, not only the first.
std::expected<Config, ConfigProblems> parse_config(std::string_view text, const std::string& file);

/// Fills in what tells the iSCSI initiator ports of paths apart: of two daemons of a host with maps
/// of one name neither may end the other's sessions. Again when `config.api` has changed.
void name_initiator_ports(Config& config);

/// Reads a configuration file, and fills in which host this is.
std::expected<Config, ConfigProblems> load_config(const std::string& file);

/// The problems on one line, for the log and for answers.
std::string problems_line(const ConfigProblems& problems);

/// The problems as lines of text.
std::string problems_text(const ConfigProblems& problems);

}  // namespace braidway::daemon
