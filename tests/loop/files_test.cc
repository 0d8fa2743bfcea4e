// SPDX-License-Identifier: Apache-2.0
#include <fcntl.h>
#include <linux/falloc.h>
#include <sys/stat.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <deque>
#include <numeric>
#include <vector>

#include "fixture.h"

namespace braidway::loop {
namespace {

class LoopFiles : public LoopTest {};
ON_BOTH_BACKENDS(LoopFiles);

std::vector<char> pattern(size_t bytes, char first = 1) {
    std::vector<char> data(bytes);
    std::iota(data.begin(), data.end(), first);
    return data;
}

TEST_P(LoopFiles, ReadsBackWhatItWrote) {
    OpenFile file(*loop_, temporary_file());
    auto data = pattern(10000);
    iovec iov{data.data(), data.size()};
    Probe probe;
    loop_->write(probe, file, &iov, 1, 4096, false);
    EXPECT_EQ(probe.ended, 0) << "done runs from the loop, not inside the call";
    EXPECT_EQ(finish(probe), 10000);

    std::vector<char> back(10000);
    iov = {back.data(), back.size()};
    loop_->read(probe, file, &iov, 1, 4096);
    EXPECT_EQ(finish(probe), 10000);
    EXPECT_EQ(back, data);
}

TEST_P(LoopFiles, GathersAndScattersSeveralBuffers) {
    OpenFile file(*loop_, temporary_file());
    auto data = pattern(300);
    std::array<iovec, 3> parts{
        iovec{data.data(), 100}, {data.data() + 100, 50}, {data.data() + 150, 150}};
    Probe probe;
    loop_->write(probe, file, parts.data(), 3, 7, true);
    EXPECT_EQ(finish(probe), 300);

    std::vector<char> back(300);
    std::array<iovec, 2> halves{iovec{back.data(), 200}, {back.data() + 200, 100}};
    loop_->read(probe, file, halves.data(), 2, 7);
    EXPECT_EQ(finish(probe), 300);
    EXPECT_EQ(back, data);
}

TEST_P(LoopFiles, ReadsAndWritesInsideAcrossAndOutsideRegisteredMemory) {
    alignas(4096) static std::array<std::byte, 16384> memory;
    const bool registered = loop_->register_memory(memory.data(), 8192);
    if (loop_->backend() == Backend::epoll) {
        EXPECT_FALSE(registered) << "worker threads know no registered memory";
    }
    OpenFile file(*loop_, temporary_file());
    for (const size_t at : {size_t{0}, size_t{4096}, size_t{6144}, size_t{12288}}) {
        for (size_t index = 0; index < 4096; ++index)
            memory[at + index] = static_cast<std::byte>(at / 1024 + index);
        iovec iov{memory.data() + at, 4096};
        Probe probe;
        loop_->write(probe, file, &iov, 1, at, true);
        EXPECT_EQ(finish(probe), 4096);
        std::vector<std::byte> expected(memory.begin() + static_cast<ptrdiff_t>(at),
                                        memory.begin() + static_cast<ptrdiff_t>(at + 4096));
        std::fill_n(memory.begin() + static_cast<ptrdiff_t>(at), 4096, std::byte{0});
        loop_->read(probe, file, &iov, 1, at);
        EXPECT_EQ(finish(probe), 4096);
        EXPECT_TRUE(std::equal(expected.begin(), expected.end(),
                               memory.begin() + static_cast<ptrdiff_t>(at)));
    }
}

TEST_P(LoopFiles, ReadIsShortAtTheEndOfTheFile) {
    OpenFile file(*loop_, temporary_file());
    ASSERT_EQ(ftruncate(file.fd(), 1000), 0);
    std::vector<char> back(4096);
    iovec iov{back.data(), back.size()};
    Probe probe;
    loop_->read(probe, file, &iov, 1, 900);
    EXPECT_EQ(finish(probe), 100);
    loop_->read(probe, file, &iov, 1, 1000);
    EXPECT_EQ(finish(probe), 0);
}

TEST_P(LoopFiles, WritesDurablyAndSyncs) {
    OpenFile file(*loop_, temporary_file());
    auto data = pattern(512);
    iovec iov{data.data(), data.size()};
    Probe probe;
    loop_->write(probe, file, &iov, 1, 0, true);
    EXPECT_EQ(finish(probe), 512);
    loop_->sync_data(probe, file);
    EXPECT_EQ(finish(probe), 0);
}

TEST_P(LoopFiles, AllocatesAndPunchesHoles) {
    OpenFile file(*loop_, temporary_file());
    Probe probe;
    loop_->allocate(probe, file, 0, 0, 1 << 20);
    EXPECT_EQ(finish(probe), 0);
    struct stat status{};
    ASSERT_EQ(fstat(file.fd(), &status), 0);
    EXPECT_EQ(status.st_size, 1 << 20);

    auto data = pattern(8192);
    iovec iov{data.data(), data.size()};
    loop_->write(probe, file, &iov, 1, 0, false);
    EXPECT_EQ(finish(probe), 8192);
    loop_->allocate(probe, file, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 4096, 4096);
    const int32_t punched = finish(probe);
    if (punched == -EOPNOTSUPP) GTEST_SKIP() << "this file system cannot punch holes";
    EXPECT_EQ(punched, 0);
    std::fill(data.begin(), data.end(), 'x');
    loop_->read(probe, file, &iov, 1, 0);
    EXPECT_EQ(finish(probe), 8192);
    EXPECT_EQ(data[4095], pattern(4096).back());
    EXPECT_EQ(std::vector<char>(data.begin() + 4096, data.end()), std::vector<char>(4096, 0));
}

TEST_P(LoopFiles, ReportsErrorsAsNegativeErrno) {
    OpenFile reads(*loop_, open("/dev/null", O_RDONLY | O_CLOEXEC));
    char byte = 0;
    iovec iov{&byte, 1};
    Probe probe;
    loop_->write(probe, reads, &iov, 1, 0, false);
    EXPECT_EQ(finish(probe), -EBADF);
    OpenFile full(*loop_, open("/dev/full", O_WRONLY | O_CLOEXEC));
    loop_->write(probe, full, &iov, 1, 0, false);
    EXPECT_EQ(finish(probe), -ENOSPC);
}

TEST_P(LoopFiles, TakesMoreOperationsThanTheRingHasEntries) {
    OpenFile file(*loop_, temporary_file());
    auto data = pattern(4096);
    iovec iov{data.data(), data.size()};
    std::deque<Probe> probes(5000);
    // Before the first turn, which is when nothing can be submitted yet.
    for (size_t at = 0; at < probes.size(); ++at) {
        loop_->write(probes[at], file, &iov, 1, at * 4096, false);
    }
    EXPECT_EQ(loop_->in_flight(), 5000u);
    turn_until([&] { return loop_->in_flight() == 0; });
    for (Probe& probe : probes) {
        EXPECT_EQ(probe.ended, 1);
        EXPECT_EQ(probe.result, 4096);
    }
    // And again, now that it runs.
    std::vector<char> back(probes.size());
    std::vector<iovec> parts(probes.size());
    for (size_t at = 0; at < probes.size(); ++at) {
        parts[at] = {&back[at], 1};
        loop_->read(probes[at], file, &parts[at], 1, at * 4096 + 99);
    }
    turn_until([&] { return loop_->in_flight() == 0; });
    for (Probe& probe : probes) EXPECT_EQ(probe.result, 1);
    EXPECT_EQ(back, std::vector<char>(probes.size(), data[99]));
}

TEST_P(LoopFiles, AnOperationMayBeUsedAgainInsideDone) {
    struct Chain : Operation {
        Loop* loop = nullptr;
        File file;
        iovec iov{};
        int left = 100;
    };
    OpenFile file(*loop_, temporary_file());
    ASSERT_EQ(ftruncate(file.fd(), 4096), 0);
    char buffer[512];
    Chain chain;
    chain.loop = loop_.get();
    chain.file = file;
    chain.iov = {buffer, sizeof buffer};
    chain.done = [](Operation& operation, int32_t result) {
        auto& self = static_cast<Chain&>(operation);
        EXPECT_EQ(result, 512);
        if (--self.left > 0) self.loop->read(self, self.file, &self.iov, 1, 0);
    };
    loop_->read(chain, file, &chain.iov, 1, 0);
    turn_until([&] { return chain.left == 0; });
}

TEST_P(LoopFiles, EndsOnceWhenCancelledWhileReading) {
    OpenFile file(*loop_, temporary_file());
    ASSERT_EQ(ftruncate(file.fd(), 1 << 20), 0);
    std::deque<Probe> probes(64);
    std::vector<char> back(4096 * probes.size());
    std::vector<iovec> parts(probes.size());
    for (size_t at = 0; at < probes.size(); ++at) {
        parts[at] = {&back[at * 4096], 4096};
        loop_->read(probes[at], file, &parts[at], 1, at * 4096);
    }
    for (Probe& probe : probes) loop_->cancel(probe);
    turn_until([&] { return loop_->in_flight() == 0; });
    for (Probe& probe : probes) {
        EXPECT_EQ(probe.ended, 1);
        EXPECT_TRUE(probe.result == 4096 || probe.result == -ECANCELED) << probe.result;
    }
}

TEST_P(LoopFiles, KnowsManyFilesAndForgetsThem) {
    std::vector<File> files;
    for (int round = 0; round < 2; ++round) {
        for (int count = 0; count < 300; ++count)
            files.push_back(loop_->add_file(temporary_file()));
        for (File file : files) EXPECT_TRUE(file.valid());
        char byte = 'x';
        iovec iov{&byte, 1};
        std::deque<Probe> probes(files.size());
        for (size_t at = 0; at < files.size(); ++at) {
            loop_->write(probes[at], files[at], &iov, 1, at, false);
        }
        turn_until([&] { return loop_->in_flight() == 0; });
        for (size_t at = 0; at < files.size(); ++at) {
            struct stat status{};
            ASSERT_EQ(fstat(files[at].fd, &status), 0);
            EXPECT_EQ(status.st_size, static_cast<off_t>(at) + 1);
            loop_->remove_file(files[at]);
            ::close(files[at].fd);
        }
        files.clear();
    }
}

}  // namespace
}  // namespace braidway::loop
