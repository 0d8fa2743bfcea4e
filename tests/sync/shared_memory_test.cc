// SPDX-License-Identifier: Apache-2.0
#include "braidway/sync/shared_memory.h"

#include <cerrno>
#include <cstdio>

#include "braidway/sync/user_access.h"
#include "sync/user_memory.h"

namespace braidway::sync {
namespace {

std::string refusal_of(int fd, size_t size_bytes) {
    const auto memory = admit_shared_memory(fd, size_bytes);
    return memory ? "admitted" : memory.error().message;
}

TEST(SharedMemory, IsAdmittedWhenItCannotShrink) {
    const CutMemory peer(2, false);
    peer.data()[page] = std::byte{9};
    ASSERT_EQ(fcntl(peer.fd(), F_ADD_SEALS, F_SEAL_SHRINK), 0);
    const auto memory = admit_shared_memory(peer.fd(), 2 * page);
    ASSERT_TRUE(memory.has_value()) << memory.error().message;
    EXPECT_EQ(memory->bytes().size(), 2 * page);
    EXPECT_EQ(memory->fd(), -1);
    EXPECT_EQ(memory->bytes()[page], std::byte{9});
    EXPECT_TRUE(UserWindow::covers(memory->bytes().data(), 2 * page));
    EXPECT_NE(ftruncate(peer.fd(), 0), 0);
}

TEST(SharedMemory, IsRefusedWithoutTheSealInALineThatSaysWhatToDo) {
    const CutMemory unsealed(1, false);
    const std::string line = refusal_of(unsealed.fd(), page);
    EXPECT_NE(line.find("F_SEAL_SHRINK"), std::string::npos) << line;
    EXPECT_NE(line.find("reads and writes"), std::string::npos) << line;
    EXPECT_EQ(line.find('\n'), std::string::npos);
    // Not the other seals in its place.
    ASSERT_EQ(fcntl(unsealed.fd(), F_ADD_SEALS, F_SEAL_GROW | F_SEAL_SEAL), 0);
    EXPECT_EQ(refusal_of(unsealed.fd(), page), line);
}

TEST(SharedMemory, IsRefusedWhenItIsNoMemoryFile) {
    std::FILE* const disk_file = std::tmpfile();
    ASSERT_NE(disk_file, nullptr);
    EXPECT_NE(refusal_of(fileno(disk_file), page).find("not sealed"), std::string::npos);
    std::fclose(disk_file);
    EXPECT_NE(refusal_of(-1, page).find("no open file"), std::string::npos);
    const int directory = open("/", O_RDONLY | O_CLOEXEC);
    EXPECT_NE(refusal_of(directory, page).find("not sealed"), std::string::npos);
    close(directory);
}

TEST(SharedMemory, IsRefusedWhenItIsShorterThanAnnounced) {
    const CutMemory peer(1, false);
    ASSERT_EQ(fcntl(peer.fd(), F_ADD_SEALS, F_SEAL_SHRINK), 0);
    EXPECT_NE(refusal_of(peer.fd(), page + 1).find("announced"), std::string::npos);
    EXPECT_NE(refusal_of(peer.fd(), SIZE_MAX).find("announced"), std::string::npos);
    EXPECT_NE(refusal_of(peer.fd(), 0).find("announced"), std::string::npos);
    EXPECT_EQ(refusal_of(peer.fd(), page - 1), "admitted");
}

TEST(SharedMemory, IsRefusedWhenItMayOnlyBeRead) {
    const int fd = memfd_create("peer", MFD_ALLOW_SEALING | MFD_CLOEXEC);
    ASSERT_EQ(ftruncate(fd, static_cast<off_t>(page)), 0);
    ASSERT_EQ(fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_WRITE), 0);
    EXPECT_NE(refusal_of(fd, page).find("reading and writing"), std::string::npos);
    close(fd);
}

TEST(SharedMemory, ThatWeMadeIsZeroedAndCannotBeCutByAPeer) {
    auto memory = create_sealed_memory("ring", 3 * page);
    ASSERT_TRUE(memory.has_value()) << memory.error().message;
    const int fd = memory->fd();
    EXPECT_NE(fcntl(fd, F_GETFD) & FD_CLOEXEC, 0);
    EXPECT_EQ(fcntl(fd, F_GET_SEALS) & (F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL),
              F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL);
    EXPECT_NE(ftruncate(fd, 0), 0);
    EXPECT_NE(ftruncate(fd, static_cast<off_t>(9 * page)), 0);
    auto* const word = reinterpret_cast<uint64_t*>(memory->bytes().data() + page);
    EXPECT_EQ(try_load(word), 0U);
    EXPECT_TRUE(try_store(word, 3U));
    // A hole may still be punched: zeros, no fault.
    ASSERT_EQ(
        fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, static_cast<off_t>(3 * page)),
        0);
    EXPECT_EQ(try_load(word), 0U);
}

TEST(SharedMemory, EndsItsWindowAndItsMappingWithItself) {
    const std::byte* address = nullptr;
    {
        auto memory = create_sealed_memory("ring", page).value();
        address = memory.bytes().data();
        const SharedMemory moved = std::move(memory);
        EXPECT_EQ(moved.bytes().data(), address);
        EXPECT_TRUE(UserWindow::covers(address, page));
    }
    EXPECT_FALSE(UserWindow::covers(address, page));
    EXPECT_EQ(msync(const_cast<std::byte*>(address), page, MS_ASYNC), -1);
    EXPECT_EQ(errno, ENOMEM);
}

bool is_mapped(const std::byte* address) {
    return msync(const_cast<std::byte*>(address), page, MS_ASYNC) == 0;
}

TEST(SharedMemory, EndsWhenOtherIsMovedInItsPlace) {
    auto memory = create_sealed_memory("ring", page).value();
    auto other = create_sealed_memory("other", 2 * page).value();
    const std::byte* const ended = memory.bytes().data();
    const std::byte* const kept = other.bytes().data();
    const int ended_fd = memory.fd();
    memory = std::move(other);
    EXPECT_FALSE(is_mapped(ended));
    EXPECT_FALSE(UserWindow::covers(ended, page));
    EXPECT_EQ(fcntl(ended_fd, F_GETFD), -1);
    SharedMemory& same = memory;
    memory = std::move(same);
    EXPECT_EQ(memory.bytes().data(), kept);
    EXPECT_EQ(memory.bytes().size(), 2 * page);
    EXPECT_TRUE(UserWindow::covers(kept, 2 * page));
    EXPECT_NE(fcntl(memory.fd(), F_GETFD), -1);
}

TEST(SharedMemory, OfHugePagesIsUnmappedThoughItsSizeIsNoMultipleOfThem) {
    constexpr off_t huge_page = 2 << 20;
    const int fd = memfd_create("peer", MFD_HUGETLB | MFD_CLOEXEC | MFD_ALLOW_SEALING);
    if (fd < 0 || ftruncate(fd, huge_page) != 0) GTEST_SKIP() << "no memory files of huge pages";
    ASSERT_EQ(fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK), 0);
    const std::byte* address = nullptr;
    {
        const auto memory = admit_shared_memory(fd, page);
        if (!memory) {
            close(fd);
            GTEST_SKIP() << "no free huge page: " << memory.error().message;
        }
        address = memory->bytes().data();
        EXPECT_EQ(memory->bytes().size(), page);
        EXPECT_FALSE(UserWindow::covers(address, page + 1));
    }
    EXPECT_FALSE(is_mapped(address));
    close(fd);
}

TEST(SharedMemory, CannotBeMadeInASizeThatNoFileHas) {
    const auto memory = create_sealed_memory("ring", SIZE_MAX);
    ASSERT_FALSE(memory.has_value());
    EXPECT_EQ(memory.error().code, EFBIG);
}

}  // namespace
}  // namespace braidway::sync
