// SPDX-License-Identifier: Apache-2.0
// Inquiry pages and mode pages of CLARiiON and RDAC arrays: who owns a LUN, and how to move it.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "wire/scsi_protocol.h"

namespace braidway::wire {

// --- CLARiiON ----------------------------------------------------------------------------------

/// Page 0xC0: how a service processor (SP) sees a LUN.
struct ClariionUnit {
    static constexpr uint8_t unbound = 0;  ///< No LUN behind this number.
    static constexpr uint8_t bound = 1;    ///< There, but the other SP owns it.
    static constexpr uint8_t owned = 2;    ///< This SP owns it.
    static constexpr uint8_t linux_failover = 4;
    static constexpr uint8_t alua_failover = 6;

    uint8_t unit_state = unbound;  ///< Other numbers are not understood.
    uint8_t default_sp = 0;        ///< 0 = A, 1 = B.
    uint8_t port = 0;
    uint8_t current_sp = 0;
    uint8_t initiator_type = 0;  ///< 3 for hosts.
    uint8_t failover_mode = 0;
    bool array_comm_path = false;
    bool upgrading = false;  ///< A firmware upgrade without interruption (NDU) is under way.
    std::array<std::byte, 16> wwn{};
};

inline constexpr size_t clariion_page_bytes = 49;  ///< Header included; as far as we read.

/// Nothing when it is another page or ends before the failover mode.
std::optional<ClariionUnit> parse_clariion_unit(std::span<const std::byte> data);
std::vector<std::byte> clariion_unit_data(const ClariionUnit& unit);

/// The SP's model in the long standard inquiry data of a CLARiiON ("CX3-40", "FC4700"). Empty when
/// the data are the short ones of an old FC array; nothing when they contradict themselves.
std::optional<std::string> parse_clariion_model(std::span<const std::byte> inquiry);
/// Appends serial number and model to the first 36 bytes of standard inquiry data.
void append_clariion_model(std::vector<std::byte>& inquiry, const std::string& serial,
                           const std::string& model);

/// The request to move a LUN to the SP that gets it.
struct ClariionTrespass {
    bool short_page = false;         ///< For FC arrays: MODE SELECT(6).
    bool honor_reservations = true;  ///< Do not move a LUN that another host has reserved.
    friend bool operator==(const ClariionTrespass&, const ClariionTrespass&) = default;
};
/// The data of the MODE SELECT, mode header included.
std::vector<std::byte> trespass_data(const ClariionTrespass& trespass);
/// The reverse; nothing when the data are no request for a trespass. `ten` = by MODE SELECT(10).
std::optional<ClariionTrespass> parse_trespass(std::span<const std::byte> data, bool ten);

// --- RDAC --------------------------------------------------------------------------------------

/// Page 0xC9: what a controller may do with a LUN.
struct RdacAccess {
    /// How a LUN moves between controllers.
    enum class Mode : uint8_t {
        rdac,    ///< By MODE SELECT only.
        avt,     ///< By itself, to where I/O arrives.
        ioship,  ///< Both controllers take I/O; the owner is faster.
    };
    Mode mode = Mode::rdac;
    bool owned = false;      ///< By this controller.
    bool preferred = false;  ///< This controller is the one it should be on.
    bool connected = true;   ///< A LUN is there.
    /// Access states of this and the other controller (scsi::PortGroupState) where they are told.
    std::optional<uint8_t> state = {};
    uint8_t other_state = 0;
    uint8_t reason = 0;  ///< Vendor's number beside `state`.
};
std::optional<RdacAccess> parse_rdac_access(std::span<const std::byte> data);
std::vector<std::byte> rdac_access_data(const RdacAccess& access);

/// Page 0xC8: names of a LUN. Texts of arrays are UTF-16; what is no ASCII is shown as '?'.
struct RdacVolume {
    uint8_t lun = 0;
    std::vector<std::byte> volume_id = {};  ///< At most 16 bytes.
    std::vector<std::byte> array_id = {};   ///< At most 16 bytes.
    std::string array_label = {};
};
std::optional<RdacVolume> parse_rdac_volume(std::span<const std::byte> data);
std::vector<std::byte> rdac_volume_data(const RdacVolume& volume);

/// Page 0xC4: the subsystem, and which of its two controllers answers.
struct RdacSubsystem {
    std::array<std::byte, 16> id{};
    std::array<std::byte, 2> slot{};
    /// 0 or 1.
    unsigned controller() const { return slot[1] == std::byte{0x31} ? 0 : 1; }
};
std::optional<RdacSubsystem> parse_rdac_subsystem(std::span<const std::byte> data);
std::vector<std::byte> rdac_subsystem_data(const RdacSubsystem& subsystem);

/// Page 0xC2: how many LUNs the firmware can serve.
struct RdacSoftware {
    uint8_t luns_max = 0;
};
std::optional<RdacSoftware> parse_rdac_software(std::span<const std::byte> data);
std::vector<std::byte> rdac_software_data(const RdacSoftware& software);

/// A request to move LUNs to the controller that gets it: the redundant-controller page.
struct RdacTransfer {
    static constexpr unsigned normal_luns = 32;     ///< In the page that MODE SELECT(6) carries.
    static constexpr unsigned expanded_luns = 256;  ///< In the sub-page for MODE SELECT(10).
    bool expanded = false;
    std::vector<uint8_t> luns = {};  ///< Ascending; below 32 unless expanded.
};
/// The data of the MODE SELECT, mode header included: 110 or 308 bytes.
std::vector<std::byte> rdac_transfer_data(const RdacTransfer& transfer);
/// The reverse; nothing when the data are no such request. `ten` = by MODE SELECT(10).
std::optional<RdacTransfer> parse_rdac_transfer(std::span<const std::byte> data, bool ten);

}  // namespace braidway::wire
