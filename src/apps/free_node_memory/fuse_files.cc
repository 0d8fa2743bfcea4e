// SPDX-License-Identifier: Apache-2.0
#define FUSE_USE_VERSION 312
#include "apps/free_node_memory/fuse_files.h"

#include <fuse3/fuse_lowlevel.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <memory>
#include <vector>

#include "base/clock.h"

namespace braidway::apps {
namespace {

constexpr size_t slots = 1 + control_files_all.size();

// Each lookup gets an inode of its own, and the remainder says which file it is. The kernel lets
// only one writer at a time into an inode, and others would wait there where no signal reaches
// them; like this all of them come to the queue.
size_t slot_of(uint64_t inode) {
    return (inode - FUSE_ROOT_ID) % slots;
}
size_t slot_of(ControlFile file) {
    return 1 + static_cast<size_t>(file);
}
ControlFile file_at(size_t slot) {
    return control_files_all[slot - 1];
}

FuseFiles& self(fuse_req_t request) {
    return *static_cast<FuseFiles*>(fuse_req_userdata(request));
}

}  // namespace

FuseFiles::FuseFiles(const MountOptions& options, ControlFiles& files) : files_(files) {
    const Duration now = wall_clock_now();
    attributes_[0] = {S_IFDIR | 0755, geteuid(), getegid(), now};
    for (const ControlFile file : control_files_all) {
        const mode_t mode = file == ControlFile::status ? 0444 : options.mode;
        attributes_[slot_of(file)] = {S_IFREG | mode, options.owner.user.value_or(geteuid()),
                                      options.owner.group.value_or(getegid()), now};
    }
}

struct stat FuseFiles::stat_of(uint64_t inode) const {
    const size_t slot = slot_of(inode);
    const Attributes& kept = attributes_[slot];
    struct stat answer{};
    answer.st_ino = FUSE_ROOT_ID + slot;
    answer.st_mode = kept.mode;
    answer.st_nlink = slot == 0 ? 2 : 1;
    answer.st_uid = kept.user;
    answer.st_gid = kept.group;
    answer.st_mtim.tv_sec = kept.changed / std::chrono::seconds(1);
    answer.st_mtim.tv_nsec = (kept.changed % std::chrono::seconds(1)).count();
    answer.st_atim = answer.st_ctim = answer.st_mtim;
    return answer;  // Like in /proc, the size is 0: the text is made when it is read.
}

void FuseFiles::lookup(Request request, uint64_t parent, const char* name) {
    const auto file =
        std::ranges::find(control_files_all, name, [](ControlFile each) { return name_of(each); });
    if (slot_of(parent) != 0 || file == control_files_all.end()) {
        fuse_reply_err(request, ENOENT);
        return;
    }
    fuse_entry_param entry{};  // Timeouts of 0: the next one asks again.
    entry.ino = FUSE_ROOT_ID + ++next_inode_ * slots + slot_of(*file);
    entry.attr = stat_of(entry.ino);
    fuse_reply_entry(request, &entry);
}

void FuseFiles::get_attributes(Request request, uint64_t inode) {
    const struct stat attributes = stat_of(inode);
    fuse_reply_attr(request, &attributes, 0);
}

void FuseFiles::set_attributes(Request request, uint64_t inode, const struct stat& wanted,
                               int which) {
    const size_t slot = slot_of(inode);
    Attributes& kept = attributes_[slot];
    // A shell's ">" cuts the file to nothing first, which there is nothing to do for.
    if ((which & FUSE_SET_ATTR_SIZE) != 0 && slot == slot_of(ControlFile::status)) {
        fuse_reply_err(request, EACCES);
        return;
    }
    if ((which & FUSE_SET_ATTR_MODE) != 0)
        kept.mode = (kept.mode & S_IFMT) | (wanted.st_mode & 0777);
    if ((which & FUSE_SET_ATTR_UID) != 0) kept.user = wanted.st_uid;
    if ((which & FUSE_SET_ATTR_GID) != 0) kept.group = wanted.st_gid;
    kept.changed = wall_clock_now();
    get_attributes(request, inode);
}

void FuseFiles::open(Request request, uint64_t inode, fuse_file_info& info) {
    const size_t slot = slot_of(inode);
    if (slot == 0) {
        fuse_reply_err(request, EISDIR);
        return;
    }
    // Root passes the kernel's check of the mode.
    if (slot == slot_of(ControlFile::status) && (info.flags & O_ACCMODE) != O_RDONLY) {
        fuse_reply_err(request, EACCES);
        return;
    }
    if (handles_.size() >= limits::control_handles_max) {
        fuse_reply_err(request, ENFILE);
        return;
    }
    info.fh = next_handle_++;
    info.direct_io = 1;  // Each write comes as it is, and each read asks.
    handles_[info.fh].file = file_at(slot);
    // Interrupted meanwhile: the kernel will not release what it does not know to be open.
    if (fuse_reply_open(request, &info) != 0) handles_.erase(info.fh);
}

void FuseFiles::release(Request request, const fuse_file_info& info) {
    handles_.erase(info.fh);
    fuse_reply_err(request, 0);
}

void FuseFiles::read(Request request, size_t size, off_t offset, const fuse_file_info& info) {
    Handle& handle = handles_[info.fh];
    if (offset == 0 || handle.text.empty()) handle.text = files_.read(handle.file);
    const std::string& text = handle.text;
    const size_t begin = std::min(static_cast<size_t>(offset), text.size());
    fuse_reply_buf(request, text.data() + begin, std::min(size, text.size() - begin));
}

void FuseFiles::write(Request request, std::string_view text, off_t offset,
                      const fuse_file_info& info) {
    Handle& handle = handles_[info.fh];
    const bool is_first = !std::exchange(handle.written, true);
    if (offset != 0 && !is_first) {
        fuse_reply_err(request, EINVAL);
        return;
    }
    if (text.size() > limits::control_bytes_max) {
        fuse_reply_err(request, EMSGSIZE);
        return;
    }
    attributes_[slot_of(handle.file)].changed = wall_clock_now();
    const auto job = std::make_shared<WriteJob>();
    job->work = [this, file = handle.file, copy = std::string(text)](const memory::Cancel& cancel) {
        return files_.write(file, copy, cancel);
    };
    job->answer = [request, size = text.size()](int error) {
        // After this returned, nobody touches the job by it any more.
        fuse_req_interrupt_func(request, nullptr, nullptr);
        if (error != 0)
            fuse_reply_err(request, error);
        else
            fuse_reply_write(request, size);
    };
    fuse_req_interrupt_func(
        request, [](fuse_req_t, void* job_of) { static_cast<WriteJob*>(job_of)->cancel.cancel(); },
        job.get());
    if (!queue_.push(job)) job->answer(EBUSY);
}

void FuseFiles::list(Request request, size_t size, off_t offset) const {
    std::vector<char> room(size);
    size_t used = 0;
    const std::array<std::string, 2> dots{".", ".."};
    for (size_t at = static_cast<size_t>(offset); at < dots.size() + control_files_all.size();
         ++at) {
        const bool is_dot = at < dots.size();
        const ControlFile file = control_files_all[is_dot ? 0 : at - dots.size()];
        const struct stat attributes = stat_of(FUSE_ROOT_ID + (is_dot ? 0 : slot_of(file)));
        const std::string name = is_dot ? dots[at] : std::string(name_of(file));
        const size_t needed =
            fuse_add_direntry(request, room.data() + used, size - used, name.c_str(), &attributes,
                              static_cast<off_t>(at + 1));
        if (needed > size - used) break;
        used += needed;
    }
    fuse_reply_buf(request, room.data(), used);
}

const fuse_lowlevel_ops& FuseFiles::operations() {
    static const fuse_lowlevel_ops table = [] {
        fuse_lowlevel_ops made{};
        made.lookup = [](fuse_req_t request, fuse_ino_t parent, const char* name) {
            self(request).lookup(request, parent, name);
        };
        made.getattr = [](fuse_req_t request, fuse_ino_t inode, fuse_file_info*) {
            self(request).get_attributes(request, inode);
        };
        made.setattr = [](fuse_req_t request, fuse_ino_t inode, struct stat* wanted, int which,
                          fuse_file_info*) {
            self(request).set_attributes(request, inode, *wanted, which);
        };
        made.open = [](fuse_req_t request, fuse_ino_t inode, fuse_file_info* info) {
            self(request).open(request, inode, *info);
        };
        made.release = [](fuse_req_t request, fuse_ino_t, fuse_file_info* info) {
            self(request).release(request, *info);
        };
        made.read = [](fuse_req_t request, fuse_ino_t, size_t size, off_t offset,
                       fuse_file_info* info) { self(request).read(request, size, offset, *info); };
        made.write = [](fuse_req_t request, fuse_ino_t, const char* text, size_t size, off_t offset,
                        fuse_file_info* info) {
            self(request).write(request, {text, size}, offset, *info);
        };
        made.readdir = [](fuse_req_t request, fuse_ino_t, size_t size, off_t offset,
                          fuse_file_info*) { self(request).list(request, size, offset); };
        // The files are what they are; without these the answer would be "not implemented".
        made.mknod = [](fuse_req_t request, fuse_ino_t, const char*, mode_t, dev_t) {
            fuse_reply_err(request, EPERM);
        };
        made.mkdir = [](fuse_req_t request, fuse_ino_t, const char*, mode_t) {
            fuse_reply_err(request, EPERM);
        };
        made.unlink = [](fuse_req_t request, fuse_ino_t, const char*) {
            fuse_reply_err(request, EPERM);
        };
        return made;
    }();
    return table;
}

}  // namespace braidway::apps
