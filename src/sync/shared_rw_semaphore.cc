// SPDX-License-Identifier: Apache-2.0
#include "braidway/sync/shared_rw_semaphore.h"

namespace braidway::sync {

namespace {

std::string sentence(SharedRwError::Fault fault, uint64_t found, uint64_t expected) {
    const std::string has = std::to_string(found);
    const std::string wants = std::to_string(expected);
    switch (fault) {
        case SharedRwError::Fault::bad_count:
            return "a shared semaphore has 1 to " + wants + " slots, not " + has;
        case SharedRwError::Fault::misaligned:
            return "the memory of a shared semaphore begins at a multiple of " + wants;
        case SharedRwError::Fault::too_small:
            return "the shared semaphore takes " + wants + " bytes, and the memory has " + has;
        case SharedRwError::Fault::no_semaphore:
            return found == 0 ? "the memory holds no shared semaphore (yet)"
                              : "the memory holds something else than a shared semaphore";
        case SharedRwError::Fault::other_version:
            return "the shared semaphore is of version or slot size " + has +
                   ", and this program knows " + wants;
        case SharedRwError::Fault::other_place:
            return "the shared semaphore was made in another pid or time namespace, or before the "
                   "machine was started: its owners cannot be told from other processes";
        case SharedRwError::Fault::full:
            break;
    }
    return "all " + has + " slots of the shared semaphore are taken by living processes; make it " +
           "with more";
}

}  // namespace

SharedRwError shared_rw_error(SharedRwError::Fault fault, uint64_t found, uint64_t expected) {
    return {fault, sentence(fault, found, expected)};
}

}  // namespace braidway::sync
