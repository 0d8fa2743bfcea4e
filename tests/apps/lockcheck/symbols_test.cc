// SPDX-License-Identifier: Apache-2.0
// Addresses of a small real program, compiled for this: it says where its own functions returned to
// and where its locks were.
#include "apps/lockcheck/symbols.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>
#include <map>
#include <sstream>

#include "apps/lockcheck/documents.h"
#include "apps/lockcheck/elf_module.h"
#include "apps/lockcheck/files.h"
#include "apps/lockcheck/folder.h"
#include "apps/lockcheck/naming.h"

namespace braidway::lockcheck {
namespace {

using testing::EndsWith;
using testing::HasSubstr;

constexpr const char* source = LOCKCHECK_TEST_PROGRAM;

/// The line of the program that is marked for this function.
unsigned line_of(const std::string& function) {
    std::istringstream lines(*read_file(source, 100'000));
    unsigned number = 0;
    for (std::string line; std::getline(lines, line);) {
        ++number;
        if (line.ends_with("// line of " + function)) return number;
    }
    return 0;
}

/// A program that prints "NAME ADDRESS" lines.
class Compiled {
  public:
    Compiled(const std::string& compiler, const std::string& options)
        : program_(folder_.path("bank")) {
        const std::string output = folder_.path("addresses");
        const std::string command = compiler + " -std=c++20 " + options + " -o " + program_ + " " +
                                    source + " && " + program_ + " >" + output;
        built_ = std::system(command.c_str()) == 0;
        std::istringstream lines(*read_file(output, 10000));
        std::string name;
        for (uint64_t address = 0; lines >> name >> std::hex >> address;) at_[name] = address;
    }
    bool built() const { return built_; }
    Frame frame(const std::string& name) const {
        Frame made;
        made.address = at_.at(name);
        made.module = program_;
        made.offset = made.address - at_.at("bias");
        return made;
    }
    Lock lock(const std::string& name) const {
        Lock made;
        made.address = at_.at(name);
        made.type = "mutex";
        made.place = "static";
        return made;
    }
    const std::string& program() const { return program_; }
    const Folder& folder() const { return folder_; }

  private:
    Folder folder_;
    std::string program_;
    bool built_ = false;
    std::map<std::string, uint64_t> at_;
};

/// A finding in which "pay" is the place, resolved.
Finding resolved(const Compiled& bank, const std::vector<std::string>& locks) {
    Finding finding = made::order();
    finding.locks.clear();
    for (const std::string& name : locks) finding.locks.push_back(bank.lock(name));
    finding.chains.resize(1);
    finding.chains[0].holds_stack = {bank.frame("pay"), bank.frame("run")};
    finding.chains[0].wants_stack = {bank.frame("inlined")};
    Document document = made::document({finding});
    Symbols().resolve(document);
    return document.findings[0];
}

/// Checks what is the same with every kind of debug information.
void expect_resolved(const Compiled& bank) {
    ASSERT_TRUE(bank.built());
    const Finding finding = resolved(bank, {"journal", "second", "guarded"});
    const Stack& held = finding.chains[0].holds_stack;
    ASSERT_EQ(held.size(), 2u);
    EXPECT_EQ(held[0].function, "bank::pay(int)");
    EXPECT_THAT(held[0].file, EndsWith("/bank.cc"));
    EXPECT_TRUE(held[0].file.starts_with('/'));
    EXPECT_EQ(held[0].line, line_of("pay"));
    EXPECT_THAT(held[1].function, HasSubstr("run"));
    const Stack& wanted = finding.chains[0].wants_stack;
    ASSERT_GE(wanted.size(), 2u);
    EXPECT_TRUE(wanted[0].inlined);
    EXPECT_EQ(short_function(wanted[0].function), "bank::built_in");
    EXPECT_EQ(wanted[0].line, line_of("built_in"));
    EXPECT_FALSE(wanted[1].inlined);
    EXPECT_EQ(short_function(wanted[1].function), "bank::around");
    EXPECT_EQ(wanted[1].line, line_of("around"));
    EXPECT_EQ(finding.locks[0].name, "bank::journal");
}

TEST(Symbols, CodeAndObjectsOfAProgramAreNamed) {
    const Compiled bank("c++", "-g -O1");
    expect_resolved(bank);
    const Finding finding = resolved(bank, {"second", "guarded", "local"});
    EXPECT_EQ(finding.locks[0].name, "bank::accounts[2].lock");
    EXPECT_EQ(finding.locks[1].name, "bank::vault.inner.guard");
    EXPECT_EQ(finding.locks[2].name, "bank::around()::once");
    EXPECT_EQ(finding.locks[0].module, bank.program());
}

TEST(Symbols, AProgramAtFixedAddressesIsNamed) {
    expect_resolved(Compiled("c++", "-g -O1 -no-pie -fno-pie"));
}

TEST(Symbols, OlderDebugInformationIsRead) {
    expect_resolved(Compiled("c++", "-gdwarf-4 -O1"));
}

TEST(Symbols, SplitDebugInformationIsRead) {
    expect_resolved(Compiled("c++", "-g -gsplit-dwarf -O1"));
}

TEST(Symbols, WhatClangWritesIsRead) {
    if (std::system("command -v clang++-19 >/dev/null") != 0)
        GTEST_SKIP() << "there is no clang++-19";
    expect_resolved(Compiled("clang++-19", "-g -O1"));
}

TEST(Symbols, WithoutDebugInformationFunctionsHaveTheirSymbols) {
    const Compiled bank("c++", "-g0 -O1");
    ASSERT_TRUE(bank.built());
    const Finding finding = resolved(bank, {"second", "journal"});
    EXPECT_EQ(finding.chains[0].holds_stack[0].function, "bank::pay(int)");
    EXPECT_EQ(finding.chains[0].holds_stack[0].file, "");
    EXPECT_EQ(finding.chains[0].wants_stack.size(), 1u);
    EXPECT_THAT(*finding.locks[0].name, HasSubstr("bank::accounts+"));
    EXPECT_EQ(finding.locks[1].name, "bank::journal");
}

TEST(Symbols, AStrippedProgramKeepsItsOffsets) {
    const Compiled bank("c++", "-s -O1");
    ASSERT_TRUE(bank.built());
    const Finding finding = resolved(bank, {"journal"});
    EXPECT_THAT(short_place(finding.chains[0].holds_stack), HasSubstr("bank+0x"));
    EXPECT_FALSE(finding.locks[0].name);
}

TEST(Symbols, WhatIsNoProgramStaysAsItIs) {
    const Folder folder;
    Finding finding = made::order();
    Frame frame;
    frame.address = 0x1000;
    frame.offset = 0x10;
    for (const std::string& module : {folder.file("text", "no program"), folder.path("none"),
                                      std::string("/dev/null"), std::string("[vdso]")}) {
        frame.module = module;
        finding.chains[0].holds_stack = {frame};
        Document document = made::document({finding});
        Symbols().resolve(document);
        ASSERT_EQ(document.findings[0].chains[0].holds_stack.size(), 1u);
        EXPECT_EQ(document.findings[0].chains[0].holds_stack[0].function, "");
    }
}

TEST(ElfModule, NamesAreDemangled) {
    EXPECT_EQ(demangled("main"), "main");
    EXPECT_EQ(demangled("_ZN4bank3payEi"), "bank::pay(int)");
    EXPECT_EQ(demangled("_ZN4bank3payEi.cold"), "bank::pay(int)");
    EXPECT_EQ(demangled("_Znonsense"), "_Znonsense");
}

}  // namespace
}  // namespace braidway::lockcheck
