// SPDX-License-Identifier: Apache-2.0
// Certificates and keys for tests, made while they run: none can expire in the repository.
#pragma once

#include <chrono>
#include <memory>
#include <string>

struct evp_pkey_st;
struct x509_st;

namespace braidway {

/// What one certificate is to say.
struct CertificateWishes {
    std::string name = "localhost";  ///< A DNS name, or an IPv4 address.
    std::chrono::hours valid_from{-1};
    std::chrono::hours valid_until{24};
};

/// A certificate authority, and the folder its certificates go to.
class CertificateAuthority {
  public:
    explicit CertificateAuthority(const std::string& name = "a test CA");
    ~CertificateAuthority();
    CertificateAuthority(const CertificateAuthority&) = delete;
    CertificateAuthority& operator=(const CertificateAuthority&) = delete;

    /// Writes ca-cert.pem into `folder`.
    void write_ca(const std::string& folder) const;
    /// Writes WHO-cert.pem and WHO-key.pem (mode 0600) into `folder`.
    void write_certificate(const std::string& folder, const std::string& who,
                           const CertificateWishes& wishes = {}) const;
    /// The whole folder of a server and its clients.
    void write_all(const std::string& folder, const CertificateWishes& server = {}) const;

  private:
    evp_pkey_st* key_;
    x509_st* certificate_;
};

/// A folder that is removed with all that is in it.
class TemporaryFolder {
  public:
    TemporaryFolder();
    ~TemporaryFolder();
    TemporaryFolder(const TemporaryFolder&) = delete;
    TemporaryFolder& operator=(const TemporaryFolder&) = delete;

    const std::string& path() const { return path_; }
    std::string file(const std::string& name) const { return path_ + "/" + name; }
    /// Writes a file of this mode and returns its whole name.
    std::string write(const std::string& name, const std::string& text, unsigned mode) const;

  private:
    std::string path_;
};

}  // namespace braidway
