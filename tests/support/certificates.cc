// SPDX-License-Identifier: Apache-2.0
#include "support/certificates.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <filesystem>
#include <fstream>

namespace braidway {
namespace {

void add_extension(X509* to, X509* issuer, int kind, const std::string& value) {
    X509V3_CTX context;
    X509V3_set_ctx(&context, issuer, to, nullptr, nullptr, 0);
    X509_EXTENSION* extension = X509V3_EXT_conf_nid(nullptr, &context, kind, value.c_str());
    ASSERT_NE(extension, nullptr) << value;
    X509_add_ext(to, extension, -1);
    X509_EXTENSION_free(extension);
}

void set_name(X509_NAME* name, const std::string& text) {
    X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC,
                               reinterpret_cast<const unsigned char*>(text.c_str()), -1, -1, 0);
}

X509* fresh_certificate(EVP_PKEY* key, const CertificateWishes& wishes, const std::string& name) {
    static std::atomic<int> serial = 1;
    X509* made = X509_new();
    X509_set_version(made, X509_VERSION_3);
    ASN1_INTEGER_set(X509_get_serialNumber(made), ++serial);
    const auto seconds = [](std::chrono::hours hours) {
        return std::chrono::seconds(hours).count();
    };
    X509_gmtime_adj(X509_getm_notBefore(made), seconds(wishes.valid_from));
    X509_gmtime_adj(X509_getm_notAfter(made), seconds(wishes.valid_until));
    X509_set_pubkey(made, key);
    set_name(X509_get_subject_name(made), name);
    return made;
}

void write_pem(const std::string& file, mode_t mode, X509* certificate, EVP_PKEY* key) {
    ::unlink(file.c_str());
    const int fd = ::open(file.c_str(), O_CREAT | O_WRONLY | O_TRUNC | O_CLOEXEC, mode);
    ASSERT_GE(fd, 0) << file;
    ::fchmod(fd, mode);
    FILE* stream = ::fdopen(fd, "w");
    if (certificate != nullptr) PEM_write_X509(stream, certificate);
    if (key != nullptr) PEM_write_PrivateKey(stream, key, nullptr, nullptr, 0, nullptr, nullptr);
    ::fclose(stream);
}

bool is_address(const std::string& name) {
    return name.find_first_not_of("0123456789.") == std::string::npos;
}

}  // namespace

CertificateAuthority::CertificateAuthority(const std::string& name)
    : key_(EVP_EC_gen("P-256")), certificate_(fresh_certificate(key_, {}, name)) {
    set_name(X509_get_issuer_name(certificate_), name);
    add_extension(certificate_, certificate_, NID_basic_constraints, "critical,CA:TRUE");
    add_extension(certificate_, certificate_, NID_key_usage, "critical,keyCertSign,cRLSign");
    X509_sign(certificate_, key_, EVP_sha256());
}

CertificateAuthority::~CertificateAuthority() {
    X509_free(certificate_);
    EVP_PKEY_free(key_);
}

void CertificateAuthority::write_ca(const std::string& folder) const {
    write_pem(folder + "/ca-cert.pem", 0644, certificate_, nullptr);
}

void CertificateAuthority::write_certificate(const std::string& folder, const std::string& who,
                                             const CertificateWishes& wishes) const {
    EVP_PKEY* key = EVP_EC_gen("P-256");
    X509* made = fresh_certificate(key, wishes, wishes.name);
    X509_set_issuer_name(made, X509_get_subject_name(certificate_));
    const bool server = who == "server";
    add_extension(made, certificate_, NID_subject_alt_name,
                  (is_address(wishes.name) ? "IP:" : "DNS:") + wishes.name);
    add_extension(made, certificate_, NID_ext_key_usage, server ? "serverAuth" : "clientAuth");
    X509_sign(made, key_, EVP_sha256());
    write_pem(folder + "/" + who + "-cert.pem", 0644, made, nullptr);
    write_pem(folder + "/" + who + "-key.pem", 0600, nullptr, key);
    X509_free(made);
    EVP_PKEY_free(key);
}

void CertificateAuthority::write_all(const std::string& folder,
                                     const CertificateWishes& server) const {
    write_ca(folder);
    write_certificate(folder, "server", server);
    write_certificate(folder, "client");
}

TemporaryFolder::TemporaryFolder() : path_(testing::TempDir() + "braidway_XXXXXX") {
    EXPECT_NE(::mkdtemp(path_.data()), nullptr);
}

TemporaryFolder::~TemporaryFolder() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
}

std::string TemporaryFolder::write(const std::string& name, const std::string& text,
                                   unsigned mode) const {
    const std::string whole = file(name);
    std::ofstream(whole, std::ios::trunc) << text;
    ::chmod(whole.c_str(), mode);
    return whole;
}

}  // namespace braidway
