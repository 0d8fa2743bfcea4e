// SPDX-License-Identifier: Apache-2.0
#include "daemon/host_identity.h"

#include <unistd.h>

#include <array>
#include <fstream>

namespace braidway::daemon {

std::string host_identity(const std::string& machine_id_file) {
    std::string id;
    std::ifstream(machine_id_file) >> id;
    // While a system is installed the file says "uninitialized", in an image it is empty.
    constexpr size_t digits = 32;
    if (id.size() == digits) return id;
    std::array<char, 256> name{};
    gethostname(name.data(), name.size() - 1);
    return name.data();
}

}  // namespace braidway::daemon
