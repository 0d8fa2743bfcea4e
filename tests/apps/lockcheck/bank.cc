// SPDX-License-Identifier: Apache-2.0
// A small program whose addresses tests/apps/lockcheck/symbols_test.cc resolves. The test looks for
// the lines that are marked.
#include <link.h>

#include <cstdio>
#include <mutex>

#define FAR __attribute__((noinline))
#define NEAR inline __attribute__((always_inline))

namespace bank {

struct Account {
    long id;
    pthread_mutex_t lock;
};
struct Vault {
    long money;
    struct {
        long doors;
        std::mutex guard;
    } inner;
};
Account accounts[4];
Vault vault;
pthread_mutex_t journal;

FAR void say(const char* name) {
    std::printf("%s %p\n", name, __builtin_return_address(0));
}
FAR void pay(int) {
    say("pay");  // line of pay
    asm volatile("");
}
}  // namespace bank
namespace {
FAR void run() {
    bank::say("run");
    asm volatile("");
}
}  // namespace
namespace bank {
NEAR void built_in() {
    say("inlined");  // line of built_in
}
FAR void around() {
    static pthread_mutex_t once;
    built_in();  // line of around
    std::printf("local %p\n", static_cast<void*>(&once));
}
}  // namespace bank

int main() {
    dl_iterate_phdr(
        [](dl_phdr_info* info, size_t, void*) {
            std::printf("bias %#lx\n", static_cast<unsigned long>(info->dlpi_addr));
            return 1;
        },
        nullptr);
    bank::pay(1);
    run();
    bank::around();
    std::printf("second %p\n", static_cast<void*>(&bank::accounts[2].lock));
    std::printf("guarded %p\n", static_cast<void*>(&bank::vault.inner.guard));
    std::printf("journal %p\n", static_cast<void*>(&bank::journal));
}
