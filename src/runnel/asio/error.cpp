#include "runnel/asio/error.hpp"

namespace runnel {

boost::system::error_code to_error_code(Errc code) {
    // The generic category would not do: two error codes are equal only within one category.
    return {to_errno(code), boost::system::system_category()};
}

}  // namespace runnel
