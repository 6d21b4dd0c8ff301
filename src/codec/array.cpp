#include <tenon/codec/array.hpp>

#include <limits>
#include <stdexcept>

namespace tenon::detail {

namespace {

constexpr auto most_elements = static_cast<std::size_t>(std::numeric_limits<std::int32_t>::max());

} // namespace

void put_array_header(buffer& out, oid element, std::size_t size) {
    if (size > most_elements)
        throw_encode_error("an array cannot have more than 2^31 - 1 elements");
    out.put(std::int32_t{size > 0 ? 1 : 0}); // dimensions
    out.put(std::int32_t{1});                // may hold NULLs; the server finds out itself
    out.put(element);
    if (size > 0) {
        out.put(static_cast<std::int32_t>(size));
        out.put(std::int32_t{1}); // lower bound
    }
}

void put_array_header(buffer& out, oid element, std::span<const array_dimension> dimensions, std::size_t size) {
    if (dimensions.size() > most_dimensions)
        throw_encode_error("an array cannot have more than 6 dimensions");
    std::size_t product = dimensions.empty() ? 0 : 1;
    for (const array_dimension& dimension : dimensions) {
        if (dimension.size < 0 || dimension.lower_bound > std::numeric_limits<std::int32_t>::max() - dimension.size)
            throw_encode_error("a dimension of an array has a size below 0 or ends past 2^31 - 1");
        product *= static_cast<std::size_t>(dimension.size);
        if (product > most_elements)
            throw_encode_error("an array cannot have more than 2^31 - 1 elements");
    }
    if (product != size)
        throw_encode_error("the dimensions of an array do not hold as many elements as it has");
    out.put(size == 0 ? std::int32_t{0} : static_cast<std::int32_t>(dimensions.size()));
    out.put(std::int32_t{1});
    out.put(element);
    if (size > 0)
        for (const array_dimension& dimension : dimensions) {
            out.put(dimension.size);
            out.put(dimension.lower_bound);
        }
}

std::size_t array_offset(std::span<const array_dimension> dimensions, std::span<const std::int32_t> subscripts) {
    if (subscripts.size() != dimensions.size() || subscripts.empty())
        throw std::out_of_range("tenon::array::at: as many subscripts are needed as the array has dimensions");
    std::size_t offset = 0;
    for (std::size_t i = 0; i < dimensions.size(); ++i) {
        const std::int64_t place = std::int64_t{subscripts[i]} - dimensions[i].lower_bound;
        if (place < 0 || place >= dimensions[i].size)
            throw std::out_of_range("tenon::array::at: a subscript is outside of its dimension");
        offset = offset * static_cast<std::size_t>(dimensions[i].size) + static_cast<std::size_t>(place);
    }
    return offset;
}

array_reader::array_reader(wire_value array) : parts_(array, 0, "array") {
    array_dimension dimension;
    read_header(&dimension, 1);
}

array_reader::array_reader(wire_value array, array_dimension* dimensions) : parts_(array, 0, "array") {
    read_header(dimensions, most_dimensions);
}

void array_reader::read_header(array_dimension* dimensions, std::size_t most) {
    const std::int32_t rank = parts_.next_number();
    (void)parts_.next_number(); // whether it may hold NULLs
    (void)parts_.next_number(); // the elements' type, which was checked with the statement
    if (rank < 0 || rank > static_cast<std::int32_t>(most_dimensions))
        throw_decode_error("the number of dimensions of an array is not from 0 to 6");
    if (static_cast<std::size_t>(rank) > most)
        throw_decode_error("an array of more than one dimension is not a std::vector: use tenon::array");
    std::int64_t product = rank == 0 ? 0 : 1;
    for (std::int32_t i = 0; i < rank; ++i) {
        const std::int32_t size = parts_.next_number();
        const std::int32_t lower_bound = parts_.next_number();
        if (size < 0 || lower_bound > std::numeric_limits<std::int32_t>::max() - size)
            throw_decode_error("a dimension of an array has a size below 0 or ends past 2^31 - 1");
        dimensions[i] = {size, lower_bound};
        product *= size;
        if (product > parts_.left() / 4) // each element takes at least its length
            throw_decode_error("an array claims more elements than it has bytes");
    }
    size_ = static_cast<std::size_t>(product);
    rank_ = product == 0 ? 0 : static_cast<std::size_t>(rank);
}

} // namespace tenon::detail
