// SPDX-License-Identifier: Apache-2.0
#include "daemon/file_reviver.h"

#include <utility>

namespace braidway::daemon {

FileReviver::FileReviver(loop::Loop& loop, PathUnit& unit, path::FileStores& stores, Fits fits,
                         std::function<void()> taken)
    : loop_(loop), unit_(unit), stores_(stores), fits_(std::move(fits)), taken_(std::move(taken)) {
}

void FileReviver::revive(Done done) {
    if (unit_.fenced_off()) return done(fail(unit_.problem()));
    done_ = std::move(done);
    call_.owner = this;
    call_.work = [](loop::BlockingCall& call) {
        FileReviver& reviver = *static_cast<FileReviver*>(call.owner);
        reviver.call_.opened = open_path(reviver.unit_.config(), reviver.stores_);
    };
    call_.done = [](loop::BlockingCall& call) { static_cast<FileReviver*>(call.owner)->opened(); };
    loop_.run_blocking(call_);
}

void FileReviver::opened() {
    OpenedPath opened = std::move(call_.opened);
    call_.opened = {};
    const Done done = std::move(done_);
    if (abandoned_ || !opened.works()) {
        done(fail(opened.problem));
        return;
    }
    if (auto fitting = fits_(opened); !fitting) {
        done(std::unexpected(fitting.error()));
        return;
    }
    unit_.offer(opened);
    unit_.admit();
    taken_();
    done({});
}

}  // namespace braidway::daemon
