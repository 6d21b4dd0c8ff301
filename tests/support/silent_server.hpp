// A server that shakes hands, answers some questions with its process id, and then says nothing any more.
#pragma once

#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <cstdint>
#include <mutex>
#include <stdexcept>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

namespace tenon::tests {

/// Understands the simple protocol only.
class silent_server {
public:
    /// Answers so many questions, over all of its clients.
    explicit silent_server(int answers) : answers_(answers), door_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
        sockaddr_in at{};
        at.sin_family = AF_INET;
        at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        socklen_t size = sizeof at;
        auto* const address = reinterpret_cast<sockaddr*>(&at);
        if (door_ < 0 || ::bind(door_, address, size) != 0 || ::listen(door_, 16) != 0 ||
            ::getsockname(door_, address, &size) != 0)
            throw std::runtime_error("silent_server: no port is free");
        port_ = ntohs(at.sin_port);
        doorman_ = std::jthread([this] {
            for (int client = 0; (client = ::accept(door_, nullptr, nullptr)) >= 0;) {
                const std::lock_guard lock(mutex_);
                clients_.push_back(client);
                threads_.emplace_back([this, client] { serve(client); });
            }
        });
    }
    silent_server(const silent_server&) = delete;
    silent_server& operator=(const silent_server&) = delete;
    ~silent_server() {
        ::shutdown(door_, SHUT_RDWR);
        doorman_.join();
        hang_up();
        threads_.clear();
        for (const int client : clients_)
            ::close(client);
        ::close(door_);
    }

    [[nodiscard]] std::string url() const {
        return "host=127.0.0.1 port=" + std::to_string(port_) +
               " user=me dbname=any sslmode=disable gssencmode=disable";
    }
    /// Asked so far, answered or not.
    [[nodiscard]] int questions() const noexcept { return questions_; }
    /// Ends its connections; those that come later are served.
    void hang_up() {
        const std::lock_guard lock(mutex_);
        for (const int client : clients_)
            ::shutdown(client, SHUT_RDWR);
    }

private:
    static std::string number(std::uint64_t value, int bytes) {
        std::string text;
        for (int i = bytes - 1; i >= 0; --i)
            text += static_cast<char>(value >> (8 * i) & 0xffU);
        return text;
    }
    static std::string message(char kind, const std::string& body) {
        return kind + number(static_cast<std::uint32_t>(body.size() + 4), 4) + body;
    }
    static std::string parameter(const char* name, const char* value) {
        return message('S', std::string(name) + '\0' + value + '\0');
    }
    static bool read(int from, std::string& into, std::size_t size) {
        into.resize(size);
        return size == 0 || ::recv(from, into.data(), size, MSG_WAITALL) == static_cast<ssize_t>(size);
    }
    static std::size_t length_in(std::string_view four) {
        std::size_t value = 0;
        for (const char c : four)
            value = value << 8U | static_cast<unsigned char>(c);
        return value;
    }
    static void send(int to, const std::string& bytes) { (void)::send(to, bytes.data(), bytes.size(), MSG_NOSIGNAL); }

    void serve(int client) {
        std::string header;
        std::string body;
        if (!read(client, header, 4) || !read(client, body, length_in(header) - 4)) // the startup message
            return;
        send(client, message('R', number(0, 4)) + parameter("server_version", "15.0") +
                         parameter("client_encoding", "UTF8") + parameter("in_hot_standby", "off") +
                         parameter("standard_conforming_strings", "on") + message('K', number(pid, 4) + number(1, 4)) +
                         message('Z', "I"));
        while (read(client, header, 5) && read(client, body, length_in(std::string_view(header).substr(1)) - 4)) {
            if (header[0] != 'Q')
                continue;
            ++questions_;
            if (answers_.fetch_sub(1) <= 0)
                continue;
            send(client, message('T', number(1, 2) + std::string("pid") + '\0' + number(0, 6) + number(23, 4) +
                                          number(4, 2) + number(0, 4) + number(0, 2)) +
                             message('D', number(1, 2) + number(4, 4) + std::to_string(pid)) +
                             message('C', std::string("SELECT 1") + '\0') + message('Z', "I"));
        }
    }

    static constexpr std::uint32_t pid = 4711;
    std::atomic<int> answers_;
    std::atomic<int> questions_{0};
    int door_;
    std::uint16_t port_ = 0;
    std::mutex mutex_{};
    std::vector<int> clients_{};
    std::vector<std::jthread> threads_{};
    std::jthread doorman_{};
};

} // namespace tenon::tests
