// SPDX-License-Identifier: Apache-2.0
// A scripted SCSI responder: a small array with ports, LUNs in memory and a vendor's manners, that
// answers commands and can be told what to answer wrongly.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/time.h"
#include "wire/scsi_answer.h"
#include "wire/scsi_cdb.h"
#include "wire/scsi_port_groups.h"
#include "wire/scsi_vendor_pages.h"

namespace braidway::sim {

/// How an array decides which of its ports serve a LUN. Closed: switch over it without `default`.
enum class ArrayKind : uint8_t {
    plain,          ///< All ports serve all LUNs.
    alua_implicit,  ///< Port groups with states; only the array changes them.
    alua_explicit,  ///< Only hosts change them.
    alua_both,      ///< Both.
    clariion,       ///< One of two service processors owns a LUN; a trespass moves it.
    rdac,           ///< One of two controllers owns a LUN; the redundant-controller page moves it.
    hp_sw,          ///< One of two controllers owns a LUN; START STOP UNIT moves it.
};
inline constexpr unsigned array_kinds = 7;

/// A port of the array. Its controller, 0 or 1, is also what its port group follows.
struct ArrayPort {
    uint8_t controller = 0;
    uint16_t port_group = 0;  ///< Target port group, for the ALUA kinds.
};

/// What an array is made of.
struct ArrayShape {
    ArrayKind kind = ArrayKind::plain;
    /// Two controllers with one port each.
    std::vector<ArrayPort> ports = {{0, 1}, {1, 2}};
    uint8_t luns = 1;
    uint64_t blocks = 64;  ///< Per LUN; kept in memory.
    uint32_t block_bytes = 512;
    /// The array as vendor, product and (CLARiiON) model call it; empty = by its kind.
    std::string vendor = {};
    std::string product = {};
    std::string model = "CX3-40";
    /// Distinguishes arrays: part of all identities.
    uint8_t serial = 1;
    bool extended_headers = true;    ///< ALUA: understands the extended header of the report.
    uint8_t transition_seconds = 0;  ///< ALUA: told in the extended header.
    uint8_t group_support = 0x8f;    ///< ALUA: wire::scsi::PortGroupSupport bits.
    uint8_t rdac_luns_max = 32;      ///< RDAC: from 32 on, MODE SELECT(10) is needed.
    wire::RdacAccess::Mode rdac_mode = wire::RdacAccess::Mode::rdac;
};

/// An answer that owns its bytes.
struct ScsiReply {
    wire::ScsiTransport transport = wire::ScsiTransport::answered;
    uint8_t status = wire::scsi::status_good;
    std::vector<std::byte> sense = {};
    std::vector<std::byte> data_in = {};

    /// The same without owning; lives as long as this.
    wire::ScsiAnswer answer() const { return {transport, status, sense, data_in}; }
};

/// CHECK CONDITION with fixed sense data.
ScsiReply sense_reply(uint8_t key, uint8_t asc, uint8_t ascq);
/// Any other status, without data.
ScsiReply status_reply(uint8_t status);
/// No answer of the device at all.
ScsiReply transport_reply(wire::ScsiTransport transport);

/// A small array that answers SCSI commands at once. Everything it does is decided by its shape,
/// the commands so far, the script and the time given to it: it reads no clock and draws no lots.
///
/// Threads: one.
class ScsiResponder {
  public:
    static constexpr uint8_t any_port = 0xff;

    explicit ScsiResponder(ArrayShape shape);

    /// Runs one command that arrives at `port` for `lun`. `data_in_bytes` is the room for data.
    ScsiReply respond(uint8_t port, uint8_t lun, std::span<const std::byte> cdb,
                      std::span<const std::byte> data_out, uint32_t data_in_bytes, Instant now);

    // --- the script ---
    /// The next `count` commands with this opcode on `port` are answered with `reply` and not run.
    void script(uint8_t opcode, ScsiReply reply, unsigned count = 1, uint8_t port = any_port);
    /// Forgets what was scripted and not used.
    void clear_script() { script_.clear(); }
    /// Changes of port groups, asked for or not, take this long; meanwhile they are in transition.
    void set_transition_time(Duration time) { transition_time_ = time; }
    /// In transition, also REPORT TARGET PORT GROUPS is answered 02/04/0a.
    void set_mute_in_transition(bool mute) { mute_in_transition_ = mute; }
    /// CLARiiON: a firmware upgrade without interruption is under way.
    void set_upgrading(bool upgrading) { upgrading_ = upgrading; }
    /// CLARiiON: an array copy is under way; a trespass would break it.
    void set_array_copy(bool copying) { array_copy_ = copying; }
    /// Reads and writes of other hosts' reserved LUN: RESERVATION CONFLICT.
    void set_reserved(bool reserved) { reserved_ = reserved; }
    /// A port without a link: commands never leave.
    void set_port_connected(uint8_t port, bool connected);
    /// The array changes a port group's state by itself, at `now`.
    void set_group_state(uint8_t lun, uint16_t port_group, uint8_t state, Instant now);
    void set_group_preferred(uint8_t lun, uint16_t port_group, bool preferred);
    /// The array moves a LUN to a controller by itself.
    void set_owner(uint8_t lun, uint8_t controller);
    /// RDAC: the controller on which a LUN should be.
    void set_preferred_controller(uint8_t lun, uint8_t controller);

    // --- what can be looked at ---
    uint8_t owner(uint8_t lun) const { return luns_[lun].owner; }
    uint8_t group_state(uint8_t lun, uint16_t port_group, Instant now) const;
    /// Commands with this opcode that arrived, scripted ones included.
    uint32_t count(uint8_t opcode) const { return counts_[opcode]; }
    /// Whether the last trespass asked to honor reservations, and which page it came in.
    std::optional<wire::ClariionTrespass> last_trespass() const { return last_trespass_; }
    std::optional<wire::RdacTransfer> last_transfer() const { return last_transfer_; }
    std::span<const wire::PortGroupSetting> last_settings() const { return last_settings_; }
    std::span<std::byte> contents(uint8_t lun) { return luns_[lun].contents; }
    const ArrayShape& shape() const { return shape_; }

  private:
    /// A target port group of one LUN.
    struct Group {
        uint16_t id = 0;
        uint8_t state = wire::scsi::group_optimized;  ///< From `since` on.
        uint8_t status = 0;
        bool preferred = false;
        Instant since = {};
    };
    struct Lun {
        uint8_t owner = 0;
        uint8_t preferred_controller = 0;
        std::vector<Group> groups;
        std::vector<std::byte> contents;
    };
    struct Scripted {
        uint8_t opcode = 0;
        uint8_t port = any_port;
        unsigned count = 0;
        ScsiReply reply;
    };
    /// A command with where it arrived.
    struct Arrival {
        uint8_t port = 0;
        uint8_t lun = 0;
        wire::ScsiRequest request;
        std::span<const std::byte> data_out;
        Instant now;
    };

    std::optional<ScsiReply> scripted(uint8_t opcode, uint8_t port);
    bool is_alua() const;
    uint8_t controller_of(uint8_t port) const { return shape_.ports[port].controller; }
    Group* group_of(Lun& lun, uint16_t id);
    void change_group(Group& group, uint8_t state, uint8_t status, Instant now);
    static uint8_t state_at(const Group& group, Instant now);

    // The commands; scsi_commands.cc.
    ScsiReply run(const Arrival& arrival);
    ScsiReply inquiry(const Arrival& arrival);
    ScsiReply page(const Arrival& arrival);
    ScsiReply identification_page(const Arrival& arrival);
    ScsiReply clariion_page(const Arrival& arrival);
    ScsiReply rdac_page(const Arrival& arrival);
    ScsiReply mode_select(const Arrival& arrival);
    ScsiReply trespass(const Arrival& arrival);
    ScsiReply move_luns(const Arrival& arrival);
    ScsiReply report_groups(const Arrival& arrival);
    ScsiReply set_groups(const Arrival& arrival);
    ScsiReply capacity(const Arrival& arrival);
    ScsiReply read_or_write(const Arrival& arrival);
    /// Why this port does not serve the LUN, or nothing.
    std::optional<ScsiReply> refusal(const Arrival& arrival);

    ArrayShape shape_;
    std::vector<Lun> luns_;
    std::vector<bool> connected_;
    std::deque<Scripted> script_;
    std::vector<uint32_t> counts_;
    Duration transition_time_ = {};
    bool mute_in_transition_ = false;
    bool upgrading_ = false;
    bool array_copy_ = false;
    bool reserved_ = false;
    std::optional<wire::ClariionTrespass> last_trespass_;
    std::optional<wire::RdacTransfer> last_transfer_;
    std::vector<wire::PortGroupSetting> last_settings_;
};

}  // namespace braidway::sim
