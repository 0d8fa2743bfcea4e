// SPDX-License-Identifier: Apache-2.0
// A small bank that never hangs here, and can. docs/lockcheck.md walks from what lockcheck says of
// it to the two causes.
#include <pthread.h>

#include <cstdio>
#include <functional>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

struct Account {
    std::mutex lock;
    long cents = 0;
};

struct Branch {
    std::mutex lock;
    std::vector<Account*> accounts;
    long deposits = 0;
};

// Interest rates: many read them, some change them. A writer that waits keeps new readers out.
class Rates {
  public:
    Rates() {
        pthread_rwlockattr_t fair;
        pthread_rwlockattr_init(&fair);
        pthread_rwlockattr_setkind_np(&fair, PTHREAD_RWLOCK_PREFER_WRITER_NONRECURSIVE_NP);
        pthread_rwlock_init(&lock_, &fair);
        pthread_rwlockattr_destroy(&fair);
    }
    ~Rates() { pthread_rwlock_destroy(&lock_); }
    Rates(const Rates&) = delete;
    Rates& operator=(const Rates&) = delete;

    void set(long percent) {
        pthread_rwlock_wrlock(&lock_);
        percent_ = percent;
        pthread_rwlock_unlock(&lock_);
    }
    long percent() {
        pthread_rwlock_rdlock(&lock_);
        const long percent = percent_;
        pthread_rwlock_unlock(&lock_);
        return percent;
    }
    long interest(long cents) {
        pthread_rwlock_rdlock(&lock_);
        const long interest = cents * percent() / 100;
        pthread_rwlock_unlock(&lock_);
        return interest;
    }

  private:
    pthread_rwlock_t lock_;
    long percent_ = 0;
};

void deposit(Account& account, Branch& branch, long cents) {
    const std::lock_guard hold_account(account.lock);
    account.cents += cents;
    const std::lock_guard hold_branch(branch.lock);
    branch.deposits += cents;
}

long audit(Branch& branch) {
    const std::lock_guard hold_branch(branch.lock);
    long sum = 0;
    for (Account* account : branch.accounts) {
        const std::lock_guard hold_account(account->lock);
        sum += account->cents;
    }
    return sum;
}

int main() {
    Rates rates;
    std::vector<std::unique_ptr<Account>> accounts;
    std::vector<std::unique_ptr<Branch>> branches;
    for (int number = 0; number < 2; ++number) {
        accounts.push_back(std::make_unique<Account>());
        branches.push_back(std::make_unique<Branch>());
        branches.back()->accounts.push_back(accounts.back().get());
    }
    rates.set(3);
    std::thread clerk(deposit, std::ref(*accounts[0]), std::ref(*branches[0]), 10'000);
    clerk.join();
    // The other branch, with the other account: nothing here meets what the clerk has touched.
    std::printf("audit: %ld\n", audit(*branches[1]));
    std::printf("interest: %ld\n", rates.interest(10'000));
    return 0;
}
