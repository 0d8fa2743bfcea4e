// SPDX-License-Identifier: Apache-2.0
#include "memory/reclaim/request.h"

namespace braidway::memory {

KindSet Request::kind_set() const {
    KindSet set;
    for (const Kind kind : kinds) set.add(kind);
    return set;
}

bool Request::spares_mapped() const {
    const KindSet set = kind_set();
    return set.has(Kind::page_cache) && !set.has(Kind::mapped_page_cache);
}

std::string_view name_of(Shortfall reason) {
    switch (reason) {
        case Shortfall::none:
            return "none";
        case Shortfall::nothing_left:
            return "nothing-left";
        case Shortfall::dirty:
            return "dirty";
        case Shortfall::mlocked:
            return "mlocked";
        case Shortfall::mapped:
            return "mapped";
        case Shortfall::shmem:
            return "shmem";
        case Shortfall::no_swap:
            return "no-swap";
        case Shortfall::gate:
            return "gate";
        case Shortfall::active:
            return "active";
        case Shortfall::busy:
            return "busy";
        case Shortfall::is_protected:
            return "protected";
        case Shortfall::refilled:
            return "refilled";
        case Shortfall::demoted:
            return "demoted";
        case Shortfall::privilege:
            return "privilege";
        case Shortfall::no_mechanism:
            return "no-mechanism";
        case Shortfall::consent:
            return "consent";
        case Shortfall::floor:
            return "floor";
        case Shortfall::pressure:
            return "pressure";
        case Shortfall::budget:
            return "budget";
        case Shortfall::cancelled:
            return "cancelled";
        case Shortfall::failed:
            return "failed";
    }
    return "?";
}

bool is_refusal(Shortfall reason) {
    switch (reason) {
        case Shortfall::no_swap:
        case Shortfall::privilege:
        case Shortfall::no_mechanism:
        case Shortfall::consent:
        case Shortfall::floor:
        case Shortfall::pressure:
            return true;
        case Shortfall::none:
        case Shortfall::nothing_left:
        case Shortfall::dirty:
        case Shortfall::mlocked:
        case Shortfall::mapped:
        case Shortfall::shmem:
        case Shortfall::gate:
        case Shortfall::active:
        case Shortfall::busy:
        case Shortfall::is_protected:
        case Shortfall::refilled:
        case Shortfall::demoted:
        case Shortfall::budget:
        case Shortfall::cancelled:
        case Shortfall::failed:
            return false;
    }
    return false;
}

}  // namespace braidway::memory
