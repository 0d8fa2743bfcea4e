// SPDX-License-Identifier: Apache-2.0
#include "memory/buffer_pool.h"

#include <gtest/gtest.h>
#include <sys/mman.h>

#include <cstring>
#include <map>
#include <vector>

#include "base/random.h"

namespace braidway::memory {
namespace {

std::unique_ptr<BufferPool> make_pool(size_t bytes) {
    auto pool = BufferPool::create(bytes);
    EXPECT_TRUE(pool.has_value()) << pool.error().message;
    return std::move(*pool);
}

uintptr_t address(const Buffer& buffer) {
    return reinterpret_cast<uintptr_t>(buffer.data);
}

/// Pages of a mapping that have memory behind them.
size_t resident_pages(std::byte* base, size_t bytes) {
    std::vector<unsigned char> pages(bytes / 4096);
    EXPECT_EQ(mincore(base, bytes, pages.data()), 0);
    size_t count = 0;
    for (const unsigned char page : pages) count += page & 1u;
    return count;
}

TEST(BufferPool, RoundsSizesUpToPowersOfTwo) {
    auto pool = make_pool(3 << 20);
    EXPECT_EQ(pool->bytes(), 4u << 20);
    for (const auto& [asked, given] : std::map<uint32_t, uint32_t>{
             {1, 4096}, {4096, 4096}, {4097, 8192}, {65536, 65536}, {65537, 131072}}) {
        Buffer* buffer = pool->allocate(asked);
        ASSERT_NE(buffer, nullptr);
        EXPECT_EQ(buffer->bytes, given) << asked;
        EXPECT_EQ(buffer->holds, 1u);
        EXPECT_EQ(pool->bytes_in_use(), given);
        EXPECT_EQ(address(*buffer) % given, 0u);
        buffer->release();
        EXPECT_EQ(pool->bytes_in_use(), 0u);
    }
}

TEST(BufferPool, LendsTheWholePoolAsOnePieceAlignedToItsSize) {
    auto pool = make_pool(16 << 20);
    Buffer* whole = pool->allocate(16 << 20);
    ASSERT_NE(whole, nullptr);
    EXPECT_EQ(whole->data, pool->base());
    EXPECT_EQ(address(*whole) % (16 << 20), 0u);
    EXPECT_EQ(pool->allocate(1), nullptr);
    whole->release();
}

TEST(BufferPool, RefusesMoreThanItHas) {
    auto pool = make_pool(1 << 20);
    EXPECT_EQ(pool->piece_bytes_max(), 1u << 20);
    EXPECT_EQ(pool->allocate((1 << 20) + 1), nullptr);
    EXPECT_EQ(pool->allocate(UINT32_MAX), nullptr);
    EXPECT_FALSE(BufferPool::create(0).has_value());
    EXPECT_FALSE(BufferPool::create(SIZE_MAX).has_value());
}

TEST(BufferPool, LendsThePieceThatCameBackLastFirst) {
    auto pool = make_pool(1 << 20);
    Buffer* first = pool->allocate(4096);
    Buffer* second = pool->allocate(4096);
    std::byte* data = first->data;
    second->release();
    first->release();
    Buffer* again = pool->allocate(4096);
    EXPECT_EQ(again->data, data);
    again->release();
}

TEST(BufferPool, LendsAPieceAgainOnlyAfterItsLastHold) {
    auto pool = make_pool(4096);
    Buffer* buffer = pool->allocate(1);
    buffer->hold();
    buffer->release();
    EXPECT_EQ(pool->bytes_in_use(), 4096u);
    EXPECT_EQ(pool->allocate(1), nullptr);
    buffer->release();
    EXPECT_EQ(pool->bytes_in_use(), 0u);
    Buffer* again = pool->allocate(1);
    ASSERT_NE(again, nullptr);
    again->release();
}

TEST(BufferPool, MergesParkedPiecesWhenALargeOneIsAskedFor) {
    auto pool = make_pool(1 << 20);
    std::vector<Buffer*> small;
    while (Buffer* buffer = pool->allocate(4096)) small.push_back(buffer);
    EXPECT_EQ(small.size(), 256u);
    for (Buffer* buffer : small) buffer->release();
    Buffer* whole = pool->allocate(1 << 20);
    ASSERT_NE(whole, nullptr);
    whole->release();
}

TEST(BufferPool, NotifiesOnceAfterAFailureWhenAPieceComesBack) {
    auto pool = make_pool(8192);
    int notified = 0;
    pool->set_notify([](void* count) { ++*static_cast<int*>(count); }, &notified);
    Buffer* first = pool->allocate(4096);
    Buffer* second = pool->allocate(4096);
    second->release();
    EXPECT_EQ(notified, 0) << "nobody has been refused yet";
    second = pool->allocate(4096);
    EXPECT_EQ(pool->allocate(4096), nullptr);
    EXPECT_EQ(pool->allocate(4096), nullptr);
    EXPECT_EQ(notified, 0);
    first->release();
    EXPECT_EQ(notified, 1);
    second->release();
    EXPECT_EQ(notified, 1);
}

TEST(BufferPool, AWaiterThatIsNotifiedGetsThePieceThatCameBack) {
    struct Waiter {
        BufferPool* pool;
        Buffer* got = nullptr;
    };
    auto pool = make_pool(4096);
    Waiter waiter{pool.get()};
    pool->set_notify(
        [](void* context) {
            auto& self = *static_cast<Waiter*>(context);
            self.got = self.pool->allocate(4096);
        },
        &waiter);
    Buffer* only = pool->allocate(4096);
    EXPECT_EQ(pool->allocate(4096), nullptr);
    only->release();
    ASSERT_NE(waiter.got, nullptr);
    waiter.got->release();
}

TEST(BufferPool, TouchesNoMemoryThatIsNotLent) {
    auto pool = make_pool(256 << 20);
    Buffer* buffer = pool->allocate(8192);
    std::memset(buffer->data, 1, buffer->bytes);
    EXPECT_LE(resident_pages(pool->base(), pool->bytes()), 2u + 512u) << "one huge page at most";
    buffer->release();
}

/// What a random sequence of loans has lent now, by address; no two may overlap.
class Lent {
  public:
    void add(Buffer& buffer) {
        const uintptr_t start = address(buffer);
        auto next = pieces_.lower_bound(start);
        if (next != pieces_.end()) {
            ASSERT_LE(start + buffer.bytes, next->first);
        }
        if (next != pieces_.begin()) {
            auto before = std::prev(next);
            ASSERT_LE(before->first + before->second->bytes, start);
        }
        pieces_.emplace(start, &buffer);
        bytes_ += buffer.bytes;
    }

    Buffer* remove_some(Random& random) {
        auto at =
            std::next(pieces_.begin(), static_cast<std::ptrdiff_t>(random.below(pieces_.size())));
        Buffer* buffer = at->second;
        bytes_ -= buffer->bytes;
        pieces_.erase(at);
        return buffer;
    }

    bool empty() const { return pieces_.empty(); }
    size_t bytes() const { return bytes_; }

  private:
    std::map<uintptr_t, Buffer*> pieces_;
    size_t bytes_ = 0;
};

class BufferPoolSequence : public testing::TestWithParam<uint64_t> {};

TEST_P(BufferPoolSequence, NeverOverlapsAndMergesBackToOnePiece) {
    constexpr size_t pool_bytes = 4 << 20;
    Random random(GetParam());
    auto pool = make_pool(pool_bytes);
    Lent lent;
    for (int step = 0; step < 5000; ++step) {
        const bool growing = step / 500 % 2 == 0;
        if (lent.empty() || random.below(10) < (growing ? 7u : 3u)) {
            const auto order = random.below(12);
            const auto bytes = static_cast<uint32_t>(1 + random.below(uint64_t{4096} << order));
            Buffer* buffer = pool->allocate(bytes);
            if (buffer == nullptr) continue;
            ASSERT_GE(buffer->bytes, bytes);
            ASSERT_LT(buffer->bytes / 2, std::max<uint32_t>(bytes, 4096));
            ASSERT_EQ(address(*buffer) % buffer->bytes, 0u);
            ASSERT_GE(buffer->data, pool->base());
            ASSERT_LE(buffer->data + buffer->bytes, pool->base() + pool_bytes);
            ASSERT_NO_FATAL_FAILURE(lent.add(*buffer));
        } else {
            lent.remove_some(random)->release();
        }
        ASSERT_EQ(pool->bytes_in_use(), lent.bytes());
    }
    while (!lent.empty()) lent.remove_some(random)->release();
    Buffer* whole = pool->allocate(pool_bytes);
    ASSERT_NE(whole, nullptr) << "seed " << GetParam();
    whole->release();
}

INSTANTIATE_TEST_SUITE_P(Seeds, BufferPoolSequence, testing::Range<uint64_t>(1, 21));

TEST(BufferPoolDeathTest, DiesWhenAPieceIsReleasedTwice) {
    auto pool = make_pool(8192);
    Buffer* buffer = pool->allocate(1);
    buffer->release();
    EXPECT_DEATH(buffer->release(), "nobody holds");
}

TEST(BufferPoolDeathTest, DiesWhenThePoolGoesBeforeItsPieces) {
    EXPECT_DEATH(
        {
            auto pool = make_pool(8192);
            pool->allocate(1);
        },
        "before it goes");
}

}  // namespace
}  // namespace braidway::memory
