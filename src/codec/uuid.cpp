#include <tenon/codec/uuid.hpp>

#include <sys/random.h>

#include <atomic>
#include <cerrno>
#include <system_error>

namespace tenon {

namespace {

void fill_random(std::uint8_t* to, std::size_t size) {
    while (size > 0) {
        const ssize_t got = ::getrandom(to, size, 0);
        if (got < 0) {
            if (errno == EINTR)
                continue;
            throw std::system_error(errno, std::generic_category(), "getrandom");
        }
        to += got;
        size -= static_cast<std::size_t>(got);
    }
}

// Milliseconds and the 12 bits below them as one number that only grows, shared by all threads: when the
// clock stands still or steps back, the next number is simply one more (RFC 9562, section 6.2, method 3).
std::uint64_t next_tick() {
    static std::atomic<std::uint64_t> last{0};
    const auto since = std::chrono::system_clock::now().time_since_epoch();
    const auto ns = static_cast<std::uint64_t>(std::chrono::duration_cast<std::chrono::nanoseconds>(since).count());
    const std::uint64_t now = (ns / 1'000'000 << 12) | (ns % 1'000'000 * 4096 / 1'000'000);
    std::uint64_t seen = last.load(std::memory_order_relaxed);
    std::uint64_t next = 0;
    do {
        next = now > seen ? now : seen + 1;
    } while (!last.compare_exchange_weak(seen, next, std::memory_order_relaxed));
    return next;
}

int hex_digit(char c) noexcept {
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    return -1;
}

constexpr bool dash_before(std::size_t byte) noexcept {
    return byte == 4 || byte == 6 || byte == 8 || byte == 10;
}

} // namespace

uuid uuid::v4() {
    uuid result;
    fill_random(result.bytes.data(), result.bytes.size());
    result.bytes[6] = static_cast<std::uint8_t>((result.bytes[6] & 0x0F) | 0x40);
    result.bytes[8] = static_cast<std::uint8_t>((result.bytes[8] & 0x3F) | 0x80);
    return result;
}

uuid uuid::v7() {
    const std::uint64_t tick = next_tick();
    uuid result;
    for (std::size_t i = 0; i < 6; ++i)
        result.bytes[i] = static_cast<std::uint8_t>(tick >> (52 - 8 * i));
    result.bytes[6] = static_cast<std::uint8_t>(0x70 | ((tick >> 8) & 0x0F));
    result.bytes[7] = static_cast<std::uint8_t>(tick);
    fill_random(result.bytes.data() + 8, 8);
    result.bytes[8] = static_cast<std::uint8_t>((result.bytes[8] & 0x3F) | 0x80);
    return result;
}

std::optional<uuid> uuid::parse(std::string_view text) noexcept {
    if (text.size() != 36)
        return std::nullopt;
    uuid result;
    std::size_t at = 0;
    for (std::size_t byte = 0; byte < 16; ++byte) {
        if (dash_before(byte) && text[at++] != '-')
            return std::nullopt;
        const int high = hex_digit(text[at]);
        const int low = hex_digit(text[at + 1]);
        if (high < 0 || low < 0)
            return std::nullopt;
        result.bytes[byte] = static_cast<std::uint8_t>(high * 16 + low);
        at += 2;
    }
    return result;
}

std::string uuid::to_string() const {
    constexpr std::string_view digits = "0123456789abcdef";
    std::string text;
    text.reserve(36);
    for (std::size_t byte = 0; byte < 16; ++byte) {
        if (dash_before(byte))
            text += '-';
        text += digits[bytes[byte] >> 4];
        text += digits[bytes[byte] & 0x0F];
    }
    return text;
}

std::optional<std::chrono::sys_time<std::chrono::milliseconds>> uuid::time() const noexcept {
    if (bytes[6] >> 4 != 7)
        return std::nullopt;
    std::int64_t ms = 0;
    for (std::size_t i = 0; i < 6; ++i)
        ms = ms << 8 | bytes[i];
    return std::chrono::sys_time<std::chrono::milliseconds>{std::chrono::milliseconds{ms}};
}

} // namespace tenon
