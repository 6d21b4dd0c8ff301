#include "gate_link.hpp"

#include <algorithm>
#include <cerrno>

#include <sys/socket.h>

namespace tenon::testing {
namespace {

std::uint32_t big_endian(std::string_view four_bytes) {
    std::uint32_t number = 0;
    for (const char c : four_bytes.substr(0, 4))
        number = number << 8U | static_cast<unsigned char>(c);
    return number;
}

} // namespace

bool contains(std::string_view message, std::string_view text) {
    const auto in_word = [](char c) {
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
    };
    for (std::size_t at = message.find(text); at != std::string_view::npos; at = message.find(text, at + 1)) {
        const std::size_t end = at + text.size();
        if (end == message.size() || text.empty() || !in_word(text.back()) || !in_word(message[end]))
            return true;
    }
    return false;
}

bool lane::flush(const descriptor& socket) {
    while (!flushed()) {
        const ssize_t sent = ::send(socket.get(), out.data() + written, out.size() - written, MSG_NOSIGNAL);
        if (sent < 0 && errno == EINTR)
            continue;
        if (sent < 0) {
            const bool full = errno == EAGAIN;
            forget_written();
            return full;
        }
        written += static_cast<std::size_t>(sent);
    }
    forget_written();
    return true;
}

void break_off(descriptor& socket) {
    const linger none{.l_onoff = 1, .l_linger = 0};
    ::setsockopt(socket.get(), SOL_SOCKET, SO_LINGER, &none, sizeof none);
    socket.close();
}

void link::cut() {
    break_off(client);
    server.close();
}

std::optional<parcel> link::next_message(std::size_t at) {
    constexpr std::uint32_t cancel_request = 80877102;
    constexpr std::uint32_t ssl_request = 80877103;
    constexpr std::uint32_t gss_request = 80877104;
    constexpr std::uint32_t longest_start = 10'000; // as the server has it (MAX_STARTUP_PACKET_LENGTH)

    const std::string_view rest = std::string_view{intake}.substr(at);
    const std::size_t type_size = started ? 1 : 0;
    if (rest.size() < type_size + 4)
        return {};
    const std::uint32_t length = big_endian(rest.substr(type_size));
    if (length < (started ? 4U : 8U) || (!started && length > longest_start)) {
        opaque = true;
        return {};
    }
    const std::size_t size = type_size + length;
    if (rest.size() < size)
        return {};

    parcel message{.what = content::message, .bytes = std::string{rest.substr(0, size)}};
    if (started) {
        const char type = rest.front();
        message.by_sync = type == 'S';
        message.asks_ready = type == 'Q' || type == 'F' || type == 'S';
        return message;
    }
    const std::uint32_t code = big_endian(rest.substr(4));
    if (code == ssl_request || code == gss_request) {
        short_answer = true;
    } else if (code == cancel_request) {
        ready = true; // as much as it will ever be
        opaque = true;
        message.cancels = true;
    } else {
        started = true;
        message.asks_ready = true;
    }
    return message;
}

bool link::listen_to_server(std::string_view bytes) {
    const bool knew = heard_ready;
    if (short_answer && !bytes.empty()) {
        short_answer = false;
        opaque = opaque || bytes.front() != 'N';
        bytes.remove_prefix(1);
    }
    while (!bytes.empty() && !opaque) {
        if (body_left > 0) {
            const std::size_t taken = std::min<std::size_t>(body_left, bytes.size());
            body_left -= static_cast<std::uint32_t>(taken);
            bytes.remove_prefix(taken);
            if (body_left == 0)
                hear(message_type);
            continue;
        }
        header += bytes.front();
        bytes.remove_prefix(1);
        if (header.size() < 5)
            continue;
        message_type = header.front();
        const std::uint32_t length = big_endian(std::string_view{header}.substr(1));
        header.clear();
        if (length < 4) {
            opaque = true;
        } else {
            body_left = length - 4;
            if (body_left == 0)
                hear(message_type);
        }
    }
    ready = ready || opaque; // it cannot be told any more
    return heard_ready && !knew;
}

void link::hear(char type) {
    if (type == 'Z') {
        heard_ready = true;
        ++ready_heard;
    } else if (type == 'G' && sync_last) {
        // A COPY FROM STDIN in the extended protocol: the Sync that came with it is ignored (manual, "COPY
        // Operations"), another one will follow the data.
        --ready_asked;
    }
}

} // namespace tenon::testing
