// SPDX-License-Identifier: Apache-2.0
#include "apps/lockcheck/program_file.h"

#include <elf.h>
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <cstring>

#include "apps/lockcheck/files.h"
#include "apps/lockcheck/folder.h"

namespace braidway::lockcheck {
namespace {

using testing::HasSubstr;

/// Any shared library of this machine will do for the runtime.
constexpr const char* library = "/proc/self/exe";

/// An ELF file with nothing but a header and, perhaps, the name of a dynamic linker.
std::string elf(uint16_t machine, const std::string& linker) {
    Elf64_Ehdr header{};
    std::memcpy(header.e_ident, ELFMAG, SELFMAG);
    header.e_ident[EI_CLASS] = ELFCLASS64;
    header.e_machine = machine;
    header.e_phoff = sizeof header;
    header.e_phnum = linker.empty() ? 0 : 1;
    Elf64_Phdr segment{};
    segment.p_type = PT_INTERP;
    segment.p_offset = sizeof header + sizeof segment;
    segment.p_filesz = linker.size() + 1;
    std::string bytes(reinterpret_cast<const char*>(&header), sizeof header);
    bytes.append(reinterpret_cast<const char*>(&segment), sizeof segment);
    return bytes + linker + '\0';
}

uint16_t own_machine() {
    return kind_of(read_file(library, SIZE_MAX)->substr(0, 4096)).machine;
}

TEST(ProgramFile, KindsAreKnownByTheirFirstBytes) {
    EXPECT_EQ(kind_of("#! /usr/bin/env python3\nprint()").interpreter, "/usr/bin/env");
    EXPECT_EQ(kind_of("#!/bin/sh").interpreter, "/bin/sh");
    EXPECT_EQ(kind_of("#!\n").format, FileKind::Format::other);
    EXPECT_EQ(kind_of("echo hello\n").format, FileKind::Format::other);
    EXPECT_EQ(kind_of("").format, FileKind::Format::other);
    const FileKind made = kind_of(elf(EM_AARCH64, "/lib/ld.so"));
    EXPECT_EQ(made.format, FileKind::Format::elf);
    EXPECT_EQ(made.machine, EM_AARCH64);
    EXPECT_EQ(made.bits, 64);
    EXPECT_EQ(made.interpreter, "/lib/ld.so");
    const FileKind own = kind_of(*read_file("/bin/sh", SIZE_MAX));
    EXPECT_THAT(own.interpreter, HasSubstr("ld-linux"));
}

TEST(ProgramFile, AFileThatEndsAnywhereIsUnderstood) {
    const std::string whole = elf(EM_X86_64, "/lib64/ld-linux-x86-64.so.2");
    for (size_t size = 0; size <= whole.size(); ++size) (void)kind_of(whole.substr(0, size));
    std::string wild = whole;
    // e_phoff and e_phnum as large as can be.
    std::memset(wild.data() + offsetof(Elf64_Ehdr, e_phoff), 0xff, 8);
    std::memset(wild.data() + offsetof(Elf64_Ehdr, e_phnum), 0xff, 2);
    EXPECT_EQ(kind_of(wild).interpreter, "");
}

TEST(ProgramFile, APathIsSearchedAsAShellDoes) {
    const Folder folder;
    const std::string tool = folder.program("tool", "#!/bin/sh\n");
    folder.file("data", "x");
    const std::string search = "/nowhere:" + folder.path("");
    EXPECT_EQ(*find_program(tool, ""), tool);
    EXPECT_EQ(*find_program("tool", search), folder.path("") + "/tool");
    EXPECT_EQ(find_program("none", search).error().status, 127);
    EXPECT_EQ(find_program("none", search).error().message, "none: not found in PATH");
    EXPECT_EQ(find_program("", search).error().status, 127);
    EXPECT_EQ(find_program(folder.path("none"), "").error().status, 127);
    EXPECT_EQ(find_program(folder.path(""), "").error().status, 126) << "a folder";
    if (geteuid() != 0 || access(folder.path("data").c_str(), X_OK) != 0) {
        EXPECT_EQ(find_program("data", search).error().status, 126);
        EXPECT_EQ(find_program(folder.path("data"), "").error().status, 126);
    }
}

TEST(ProgramFile, WhatTheRuntimeCannotSeeIsRefused) {
    const Folder folder;
    const std::string linker = "/lib64/ld-linux-x86-64.so.2";
    const auto said = [](const std::string& path) {
        const auto checked = check_program(path, library);
        return checked ? std::string("fine")
                       : fmt::format("{} {}", checked.error().status, checked.error().message);
    };
    const uint16_t machine = own_machine();
    EXPECT_EQ(said(folder.program("dynamic", elf(machine, linker))), "fine");
    const std::string fixed = folder.program("static", elf(machine, ""));
    EXPECT_EQ(said(fixed), "2 " + fixed + ": is statically linked: lockcheck cannot see its locks");
    EXPECT_EQ(said(folder.program("ld-linux-x86-64.so.2", elf(machine, ""))), "fine");
    EXPECT_THAT(said(folder.program("other", elf(EM_S390, linker))),
                HasSubstr("is built for another machine"));
    EXPECT_THAT(said(folder.program("musl", elf(machine, "/lib/ld-musl-x86_64.so.1"))),
                HasSubstr("is linked with musl"));
    EXPECT_EQ(said(folder.program("script", "#!/bin/sh\n")), "fine");
    EXPECT_EQ(said(folder.program("lines", "echo hello\n")), "fine");
    EXPECT_THAT(said(folder.program("of-static", "#!" + fixed + "\n")),
                HasSubstr("static: is statically linked"));
    EXPECT_THAT(said(folder.program("lost", "#!/nowhere/sh\n")),
                HasSubstr("126 " + folder.path("lost") + ": its interpreter /nowhere/sh: No such"));
    const std::string loop = folder.path("loop");
    EXPECT_THAT(said(folder.program("loop", "#!" + loop + "\n")),
                HasSubstr("too many interpreters"));
    EXPECT_EQ(said("/bin/sh"), "fine");
}

TEST(ProgramFile, ASetuidProgramOfAnotherUserIsRefused) {
    if (geteuid() != 0) GTEST_SKIP() << "only root can make a file of another user";
    const Folder folder;
    const std::string path =
        folder.program("other", elf(own_machine(), "/lib64/ld-linux-x86-64.so.2"));
    ASSERT_EQ(chown(path.c_str(), 65534, 65534), 0);
    std::filesystem::permissions(
        path, std::filesystem::perms::set_uid | std::filesystem::perms::owner_all);
    const auto checked = check_program(path, library);
    if (checked) GTEST_SKIP() << "the temporary folder is mounted nosuid";
    EXPECT_EQ(checked.error().status, 2);
    EXPECT_THAT(checked.error().message, HasSubstr("is a setuid program"));
    ASSERT_EQ(chown(path.c_str(), 0, 0), 0);
    std::filesystem::permissions(
        path, std::filesystem::perms::set_uid | std::filesystem::perms::owner_all);
    EXPECT_TRUE(check_program(path, library)) << "root gains nothing by being root";
}

}  // namespace
}  // namespace braidway::lockcheck
