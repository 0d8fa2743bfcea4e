// SPDX-License-Identifier: Apache-2.0
#include "braidway/sync/user_access.h"

#include <linux/userfaultfd.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstring>
#include <thread>
#include <vector>

#include "base/clock.h"
#include "sync/user_memory.h"

namespace braidway::sync {
namespace {

/// A different value in each byte for quite a while.
void fill(std::span<std::byte> bytes) {
    for (size_t at = 0; at < bytes.size(); ++at)
        bytes[at] = static_cast<std::byte>((at * 7 + at / 251) & 0xff);
}

template <typename T>
class UserWords : public testing::Test {};
using Words =
    testing::Types<uint8_t, int8_t, uint16_t, int16_t, uint32_t, int32_t, uint64_t, int64_t>;
TYPED_TEST_SUITE(UserWords, Words);

TYPED_TEST(UserWords, AreLoadedStoredAndExchangedLikeAtomics) {
    const CutMemory memory(1);
    // A neighbour on either side that must not change.
    auto* const words = memory.at<TypeParam>(64);
    std::memset(memory.data(), 0x5a, page);
    const TypeParam around = words[0];
    const auto low = static_cast<TypeParam>(-3);
    ASSERT_TRUE(try_store(&words[1], low));
    EXPECT_EQ(try_load(&words[1]), low);
    TypeParam expected = 5;
    EXPECT_EQ(try_cas(&words[1], expected, 9), CasOutcome::different);
    EXPECT_EQ(expected, low);
    EXPECT_EQ(try_cas(&words[1], expected, 9), CasOutcome::exchanged);
    EXPECT_EQ(expected, low);
    EXPECT_EQ(try_load(&words[1]), TypeParam{9});
    EXPECT_EQ(try_exchange(&words[1], low), TypeParam{9});
    EXPECT_EQ(try_fetch_add(&words[1], 5), low);
    EXPECT_EQ(try_load(&words[1]), TypeParam{2});
    EXPECT_EQ(words[0], around);
    EXPECT_EQ(words[2], around);
}

TYPED_TEST(UserWords, AreFaultsWhereTheFileWasCutOff) {
    const CutMemory memory(2);
    memory.truncate(1);
    auto* const word = memory.at<TypeParam>(page);
    TypeParam expected = 1;
    EXPECT_EQ(try_load(word), std::nullopt);
    EXPECT_FALSE(try_store(word, 1));
    EXPECT_EQ(try_cas(word, expected, 2), CasOutcome::fault);
    EXPECT_EQ(expected, TypeParam{1});
    EXPECT_EQ(try_exchange(word, 1), std::nullopt);
    EXPECT_EQ(try_fetch_add(word, 1), std::nullopt);
    // The page before it is as it was, and the end of the file may come back.
    EXPECT_EQ(try_load(word - 1), TypeParam{0});
    memory.truncate(2);
    EXPECT_EQ(try_load(word), TypeParam{0});
}

TYPED_TEST(UserWords, CanBeReadButNotWrittenInMemoryThatIsReadOnly) {
    const CutMemory memory(1);
    auto* const word = memory.at<TypeParam>(0);
    ASSERT_TRUE(try_store(word, 7));
    memory.protect(0, 1, PROT_READ);
    TypeParam expected = 3;
    EXPECT_EQ(try_load(word), TypeParam{7});
    EXPECT_FALSE(try_store(word, 8));
    // Also where the comparison would have failed.
    EXPECT_EQ(try_cas(word, expected, 2), CasOutcome::fault);
    EXPECT_EQ(try_exchange(word, 1), std::nullopt);
    EXPECT_EQ(try_fetch_add(word, 1), std::nullopt);
    EXPECT_EQ(try_load(word), TypeParam{7});
}

TEST(UserAccess, IsAFaultWhereNothingMayBeReadOrNothingIsMapped) {
    const CutMemory memory(3);
    memory.protect(1, 1, PROT_NONE);
    ASSERT_EQ(munmap(memory.data() + 2 * page, page), 0);
    for (const size_t offset : {page, 2 * page}) {
        EXPECT_EQ(try_load(memory.at<uint64_t>(offset)), std::nullopt);
        EXPECT_FALSE(try_store(memory.at<uint32_t>(offset), 1U));
    }
}

TEST(UserAccess, ReadsZerosFromAPunchedHole) {
    const CutMemory memory(2);
    ASSERT_TRUE(try_store(memory.at<uint64_t>(page), 5));
    ASSERT_EQ(fallocate(memory.fd(), FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
                        static_cast<off_t>(page), static_cast<off_t>(page)),
              0);
    EXPECT_EQ(try_load(memory.at<uint64_t>(page)), 0U);
}

TEST(UserAccess, TakesAMisalignedWordForAFaultWhereItReadsAndWrites) {
    const CutMemory memory(1);
    auto* const odd = memory.at<uint32_t>(2);
    uint32_t expected = 0;
    EXPECT_EQ(try_cas(odd, expected, 1U), CasOutcome::fault);
    EXPECT_EQ(try_exchange(odd, 1U), std::nullopt);
    EXPECT_EQ(try_fetch_add(odd, 1U), std::nullopt);
    EXPECT_EQ(try_futex_wait(odd, 0, Deadline::never()), FutexOutcome::fault);
    EXPECT_EQ(try_futex_wake(odd, 1), std::nullopt);
    EXPECT_EQ(*memory.at<uint64_t>(0), 0U);
}

TEST(UserAccess, CarriesEnumerationsAsTheOtherSideWroteThem) {
    enum class State : uint8_t { idle, busy };
    const CutMemory memory(1);
    memory.data()[0] = std::byte{77};
    EXPECT_EQ(try_load(memory.at<State>(0)), static_cast<State>(77));
    EXPECT_TRUE(try_store(memory.at<State>(0), State::busy));
    EXPECT_EQ(memory.data()[0], std::byte{1});
}

/// Sizes on both sides of where the copy changes its way, and all small ones.
std::vector<size_t> copy_sizes() {
    std::vector<size_t> sizes;
    for (size_t size = 0; size <= 80; ++size) sizes.push_back(size);
    for (const size_t size : {127, 128, 129, 255, 256, 257, 300, 511, 1000, 2048})
        sizes.push_back(size);
    return sizes;
}

TEST(UserCopy, StopsAtTheVeryByteThatIsMissingAtEveryAlignment) {
    const CutMemory memory(2);
    std::vector<std::byte> pattern(4096);
    fill(pattern);
    std::copy_n(pattern.begin(), page, memory.data());
    memory.truncate(1);
    std::vector<std::byte> copy(4096 + 16);
    // How many bytes are there before the end, and where our side begins.
    for (const size_t there : {0, 1, 2, 3, 5, 7, 8, 9, 15, 16, 17, 31, 33, 63, 64, 65, 100, 257}) {
        for (size_t shift = 0; shift < 9; ++shift) {
            for (const size_t size : copy_sizes()) {
                const size_t expected = std::min<size_t>(there, size);
                std::byte* const user = memory.data() + page - there;
                std::ranges::fill(copy, std::byte{0xee});
                ASSERT_EQ(try_copy_from({copy.data() + shift, size}, user), expected)
                    << there << " bytes there, asked for " << size;
                ASSERT_TRUE(
                    std::equal(copy.begin() + shift, copy.begin() + shift + expected, user));
                ASSERT_EQ(copy[shift + expected], std::byte{0xee});
                std::memset(user, 0, there);
                ASSERT_EQ(try_copy_to(user, {pattern.data() + shift, size}), expected);
                ASSERT_TRUE(std::equal(user, user + expected, pattern.begin() + shift));
                ASSERT_TRUE(std::all_of(user + expected, user + there,
                                        [](std::byte byte) { return byte == std::byte{0}; }));
            }
        }
    }
}

TEST(UserCopy, CopiesEverythingOverManyPages) {
    const CutMemory memory(5);
    std::vector<std::byte> pattern(4 * page);
    fill(pattern);
    EXPECT_EQ(try_copy_to(memory.data() + 3, pattern), pattern.size());
    std::vector<std::byte> copy(pattern.size());
    EXPECT_EQ(try_copy_from(copy, memory.data() + 3), copy.size());
    EXPECT_EQ(copy, pattern);
}

TEST(UserCopy, WritesNothingToMemoryThatIsReadOnly) {
    const CutMemory memory(2);
    memory.protect(1, 1, PROT_READ);
    std::vector<std::byte> pattern(600, std::byte{1});
    EXPECT_EQ(try_copy_to(memory.data() + page - 300, pattern), 300U);
    EXPECT_EQ(try_copy_to(memory.data() + page, pattern), 0U);
    EXPECT_EQ(memory.data()[page], std::byte{0});
}

TEST(UserCopy, TakesADescriptorWholeOrNotAtAll) {
    struct Descriptor {
        uint64_t offset;
        uint32_t length;
        uint32_t flags;
    };
    const CutMemory memory(2);
    *memory.at<Descriptor>(page - sizeof(Descriptor)) = {1, 2, 3};
    memory.truncate(1);
    const auto whole = try_copy_object(memory.at<Descriptor>(page - sizeof(Descriptor)));
    ASSERT_TRUE(whole.has_value());
    EXPECT_EQ(whole->offset, 1U);
    EXPECT_EQ(whole->flags, 3U);
    EXPECT_FALSE(try_copy_object(memory.at<Descriptor>(page - 8)).has_value());
}

TEST(UserFutex, SaysThatTheWordIsGone) {
    const CutMemory memory(1);
    auto* const word = memory.at<uint32_t>(0);
    EXPECT_EQ(try_futex_wait(word, 1, Deadline::never()), FutexOutcome::changed);
    EXPECT_EQ(try_futex_wait(word, 0, Deadline::after(std::chrono::nanoseconds(0))),
              FutexOutcome::timed_out);
    EXPECT_EQ(try_futex_wake(word, 1), 0U);
    memory.truncate(0);
    EXPECT_EQ(try_futex_wait(word, 0, Deadline::never()), FutexOutcome::fault);
    EXPECT_EQ(try_futex_wake(word, 1), std::nullopt);
}

TEST(UserFutex, AWakeOfNobodyByCountWakesNobody) {
    // The kernel takes 0 for 1.
    const CutMemory memory(1);
    auto* const word = memory.at<uint32_t>(0);
    std::atomic<bool> back = false;
    std::thread sleeper([&] {
        try_futex_wait(word, 0, Deadline::after(std::chrono::milliseconds(50)));
        back = true;
    });
    while (!back) EXPECT_EQ(try_futex_wake(word, 0), 0U);
    sleeper.join();
}

TEST(UserAccess, ChangesNoErrnoWhenItFaults) {
    const CutMemory memory(1);
    memory.truncate(0);
    errno = 123;
    EXPECT_EQ(try_load(memory.at<uint8_t>(0)), std::nullopt);
    EXPECT_EQ(errno, 123);
}

TEST(UserAccess, OrdersWhatOtherThreadsOfThisProcessSee) {
    const CutMemory memory(1);
    auto* const flag = memory.at<uint32_t>(0);
    int value = 0;
    std::thread writer([&] {
        value = 42;
        EXPECT_TRUE(try_store(flag, 1U));
    });
    while (try_load(flag) != 1U) std::this_thread::yield();
    EXPECT_EQ(value, 42);
    writer.join();
}

TEST(UserAccess, LosesNoAdditionOfManyThreads) {
    const CutMemory memory(1);
    auto* const added = memory.at<uint16_t>(0);
    auto* const swapped = memory.at<uint64_t>(8);
    std::vector<std::thread> threads;
    for (int thread = 0; thread < 4; ++thread) {
        threads.emplace_back([=] {
            for (int turn = 0; turn < 5000; ++turn) {
                ASSERT_TRUE(try_fetch_add(added, 1).has_value());
                uint64_t seen = *try_load(swapped);
                while (try_cas(swapped, seen, seen + 3) != CasOutcome::exchanged) {}
            }
        });
    }
    for (std::thread& thread : threads) thread.join();
    EXPECT_EQ(try_load(added), 20000);
    EXPECT_EQ(try_load(swapped), 60000U);
}

TEST(UserAccess, SurvivesFaultsInManyThreadsAtOnceWhileWindowsComeAndGo) {
    const CutMemory memory(2);
    memory.truncate(1);
    std::atomic<bool> stop = false;
    std::vector<std::thread> threads;
    for (int thread = 0; thread < 4; ++thread) {
        threads.emplace_back([&] {
            std::vector<std::byte> copy(700);
            for (int turn = 0; turn < 2000; ++turn) {
                ASSERT_EQ(try_load(memory.at<uint64_t>(page + 8)), std::nullopt);
                ASSERT_EQ(try_copy_from(copy, memory.data() + page - 650), 650U);
            }
        });
    }
    std::thread opener([&] {
        while (!stop) {
            const CutMemory other(1);
            other.truncate(0);
            ASSERT_EQ(try_load(other.at<uint8_t>(0)), std::nullopt);
        }
    });
    for (std::thread& thread : threads) thread.join();
    stop = true;
    opener.join();
}

TEST(UserAccess, SurvivesAClientThatTruncatesInALoop) {
    const CutMemory memory(2);
    const pid_t client = fork();
    if (client == 0) {
        alarm(60);
        for (;;) {
            memory.truncate(1);
            memory.truncate(2);
        }
    }
    std::vector<std::byte> copy(512);
    size_t faults = 0;
    size_t successes = 0;
    const Instant begin = monotonic_now();
    // Until both were seen often, at most 10 seconds.
    while ((faults < 200 || successes < 200) && monotonic_now().ns - begin.ns < 10'000'000'000) {
        const auto word = try_load(memory.at<uint64_t>(page));
        (word ? successes : faults)++;
        // The first page is there; the second may also go in the middle of the copy.
        const size_t done = try_copy_from(copy, memory.data() + page - 100);
        ASSERT_TRUE(done >= 100 && done <= 512) << done;
        const size_t written = try_copy_to(memory.data() + page - 99, copy);
        ASSERT_TRUE(written >= 99 && written <= 512) << written;
        const auto sum = try_fetch_add(memory.at<uint64_t>(page + 8), 1);
        (sum ? successes : faults)++;
    }
    kill(client, SIGKILL);
    ASSERT_EQ(waitpid(client, nullptr, 0), client);
    EXPECT_GE(faults, 200U);
    EXPECT_GE(successes, 200U);
}

TEST(UserAccess, IsAFaultWhereAUserfaultfdHasNoPageYet) {
    const int uffd = static_cast<int>(syscall(SYS_userfaultfd, O_CLOEXEC | O_NONBLOCK));
    if (uffd < 0) GTEST_SKIP() << "userfaultfd() is refused here: " << std::strerror(errno);
    uffdio_api api{.api = UFFD_API, .features = UFFD_FEATURE_SIGBUS, .ioctls = 0};
    if (ioctl(uffd, UFFDIO_API, &api) != 0) {
        close(uffd);
        GTEST_SKIP() << "this kernel has no UFFD_FEATURE_SIGBUS";
    }
    void* const address =
        mmap(nullptr, 2 * page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    ASSERT_NE(address, MAP_FAILED);
    auto* const word = static_cast<uint64_t*>(address);
    uffdio_register area{};
    area.range = {reinterpret_cast<uintptr_t>(address), 2 * page};
    area.mode = UFFDIO_REGISTER_MODE_MISSING;
    ASSERT_EQ(ioctl(uffd, UFFDIO_REGISTER, &area), 0);
    {
        const auto window = UserWindow::add({static_cast<std::byte*>(address), 2 * page});
        ASSERT_TRUE(window.has_value());
        EXPECT_EQ(try_load(word), std::nullopt);
        EXPECT_FALSE(try_store(word, 1U));
        std::vector<uint64_t> source(page / 8, 4711);
        uffdio_copy copy{};
        copy.dst = reinterpret_cast<uintptr_t>(address);
        copy.src = reinterpret_cast<uintptr_t>(source.data());
        copy.len = page;
        ASSERT_EQ(ioctl(uffd, UFFDIO_COPY, &copy), 0);
        EXPECT_EQ(try_load(word), 4711U);
        std::vector<std::byte> bytes(2 * page);
        EXPECT_EQ(try_copy_from(bytes, address), page);
    }
    munmap(address, 2 * page);
    close(uffd);
}

}  // namespace
}  // namespace braidway::sync
