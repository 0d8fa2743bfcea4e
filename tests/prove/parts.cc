// SPDX-License-Identifier: Apache-2.0
#include "prove/parts.h"

#include "base/check.h"

namespace braidway::prove {

Parts parts_of(const World&) {
    return {};
}
Visits::Visits() = default;
void Visits::count(const Config&, const Parts&, Move, const Parts&, uint32_t, bool) {
}

}  // namespace braidway::prove
