#include <tenon/codec/buffer.hpp>

#include <algorithm>

namespace tenon {

void buffer::reallocate(std::size_t more) {
    const std::size_t used = size();
    const std::size_t capacity = std::max(2 * static_cast<std::size_t>(limit_ - begin_), used + more);
    char* const bytes = new char[capacity];
    std::memcpy(bytes, begin_, used);
    if (begin_ != inline_)
        delete[] begin_;
    begin_ = bytes;
    end_ = bytes + used;
    limit_ = bytes + capacity;
}

} // namespace tenon
