#!/usr/bin/env python3
"""webgpu_cpp.py WEBGPU_H: prints webgpu_cpp.h, the interface of that webgpu.h for C++17.

Every name is that of the C header without its prefix: WGPUBuffer is wgpu::Buffer, which counts its references itself,
wgpuBufferUnmap(buffer) is buffer.Unmap(), WGPUBufferUsage_Storage is wgpu::BufferUsage::Storage, and what takes a
WGPU…CallbackInfo takes a wgpu::CallbackMode and anything that can be called.
"""

import re
import sys

# Arguments that may be left out, besides pointers that may be NULL at the end.
DEFAULTS = {
    "GetMappedRange": {"offset": "0", "size": "WGPU_WHOLE_MAP_SIZE"},
    "GetConstMappedRange": {"offset": "0", "size": "WGPU_WHOLE_MAP_SIZE"},
    "ClearBuffer": {"offset": "0", "size": "WGPU_WHOLE_SIZE"},
    "DispatchWorkgroups": {"workgroupCountY": "1", "workgroupCountZ": "1"},
    "Draw": {"instanceCount": "1", "firstVertex": "0", "firstInstance": "0"},
    "DrawIndexed": {"instanceCount": "1", "firstIndex": "0", "baseVertex": "0", "firstInstance": "0"},
    "SetBindGroup": {"group": "nullptr", "dynamicOffsetCount": "0", "dynamicOffsets": "nullptr"},
    "SetVertexBuffer": {"buffer": "nullptr", "offset": "0", "size": "WGPU_WHOLE_SIZE"},
    "SetIndexBuffer": {"offset": "0", "size": "WGPU_WHOLE_SIZE"},
}

PRELUDE = """\
// The interface of webgpu.h for C++17, made from it by webgpu_cpp.py.
#ifndef WEBGPU_CPP_H_
#define WEBGPU_CPP_H_

#include "webgpu.h"

#include <cmath>
#include <cstddef>
#include <cstring>
#include <memory>
#include <string_view>
#include <type_traits>
#include <utility>

namespace wgpu {

using Flags = WGPUFlags;
using Proc = WGPUProc;

class Bool {
  public:
    constexpr Bool() = default;
    constexpr Bool(bool value) : value(value) {}
    Bool(WGPUBool value) : value(value) {}
    constexpr operator bool() const { return value != 0; }

  private:
    WGPUBool value = WGPU_FALSE;
};

struct StringView {
    char const* data = nullptr;
    size_t length = WGPU_STRLEN;

    constexpr StringView() = default;
    constexpr StringView(std::nullptr_t) {}
    constexpr StringView(char const* text) : data(text) {}
    constexpr StringView(char const* data, size_t length) : data(data), length(length) {}
    constexpr StringView(std::string_view text) : data(text.data()), length(text.size()) {}
    StringView(WGPUStringView text) : data(text.data), length(text.length) {}
    template <typename Text, typename = std::enable_if_t<std::is_convertible_v<Text const&, std::string_view> &&
                                                         !std::is_convertible_v<Text const&, char const*>>>
    StringView(Text const& text) : StringView(std::string_view(text)) {}

    operator WGPUStringView() const { return {data, length}; }
    operator std::string_view() const {
        if (data == nullptr) return {};
        return length == WGPU_STRLEN ? std::string_view(data) : std::string_view(data, length);
    }
    bool IsUndefined() const { return data == nullptr && length == WGPU_STRLEN; }
};

template <typename Object, typename CObject>
class ObjectBase {
  public:
    ObjectBase() = default;
    ObjectBase(CObject handle) : handle(handle) {
        if (handle) Object::AddRef(handle);
    }
    ObjectBase(ObjectBase const& other) : ObjectBase(other.handle) {}
    ObjectBase(ObjectBase&& other) : handle(other.MoveToCHandle()) {}
    ~ObjectBase() {
        if (handle) Object::Release(handle);
    }
    Object& operator=(ObjectBase other) {
        std::swap(handle, other.handle);
        return static_cast<Object&>(*this);
    }
    bool operator==(std::nullptr_t) const { return handle == nullptr; }
    bool operator!=(std::nullptr_t) const { return handle != nullptr; }
    explicit operator bool() const { return handle != nullptr; }

    CObject Get() const { return handle; }
    CObject MoveToCHandle() { return std::exchange(handle, nullptr); }
    // Takes over a reference.
    static Object Acquire(CObject handle) {
        Object object;
        object.handle = handle;
        return object;
    }

  protected:
    CObject handle = nullptr;
};
"""

FLAG_OPERATORS = """\
template <typename T>
struct IsFlags : std::false_type {};
template <typename T, typename = std::enable_if_t<IsFlags<T>::value>>
constexpr T operator|(T a, T b) { return T(Flags(a) | Flags(b)); }
template <typename T, typename = std::enable_if_t<IsFlags<T>::value>>
constexpr T operator&(T a, T b) { return T(Flags(a) & Flags(b)); }
template <typename T, typename = std::enable_if_t<IsFlags<T>::value>>
constexpr T operator^(T a, T b) { return T(Flags(a) ^ Flags(b)); }
template <typename T, typename = std::enable_if_t<IsFlags<T>::value>>
constexpr T operator~(T a) { return T(~Flags(a)); }
template <typename T, typename = std::enable_if_t<IsFlags<T>::value>>
constexpr T& operator|=(T& a, T b) { return a = a | b; }
template <typename T, typename = std::enable_if_t<IsFlags<T>::value>>
constexpr T& operator&=(T& a, T b) { return a = a & b; }
"""


class Header:
    """What webgpu.h declares, in its order."""

    def __init__(self, text):
        text = re.sub(r"/\*.*?\*/|//[^\n]*", "", text, flags=re.S)
        self.objects = re.findall(r"typedef struct WGPU(\w+)Impl\*", text)
        self.enums = {
            name: re.findall(rf"WGPU{name}_(\w+) = ", body)
            for name, body in re.findall(r"typedef enum WGPU(\w+) \{(.*?)\}", text, re.S)
        }
        self.flags = {
            name: re.findall(rf"static const WGPU{name} WGPU{name}_(\w+)", text)
            for name in re.findall(r"typedef WGPUFlags WGPU(\w+);", text)
        }
        self.structs = {
            name: [field(line) for line in body.split(";") if line.strip()]
            for name, body in re.findall(r"typedef struct WGPU(\w+) \{(.*?)\} WGPU\1", text, re.S)
        }
        self.callbacks = {
            name: [field(parameter) for parameter in split(parameters)]
            for name, parameters in re.findall(r"typedef void \(\*WGPU(\w+Callback)\)\((.*?)\) WGPU_FUNCTION", text)
        }
        self.functions = [
            (name, result.strip(), [field(parameter) for parameter in split(parameters)])
            for result, name, parameters in re.findall(r"WGPU_EXPORT (.*?)\b(wgpu\w+)\((.*?)\) WGPU_FUNCTION", text)
        ]
        self.initial = {}
        for macro in re.findall(r"_INIT _wgpu_MAKE_INIT_STRUCT\((WGPU\w+, \{.*?)\n\}\)", text, re.S):
            name, body = macro.split(",", 1)
            values = [v.strip(" \\\n{") for v in re.sub(r"_wgpu_MAKE_INIT_STRUCT\(.*?\}\)", "CHAIN", body, flags=re.S).split("_wgpu_COMMA")]
            self.initial[name[4:]] = [v for v in values if v]

    def cpp(self, c):
        """The C++ type for a C type."""
        c = c.replace("WGPU_NULLABLE ", "").replace("struct ", "")
        return re.sub(r"\bWGPU(\w+)", r"\1", c).strip()

    def kind(self, c):
        name = self.cpp(c)
        if "*" in c:
            return "pointer" if "WGPU" in c.replace("WGPU_NULLABLE", "") else "plain"
        for kind in ("objects", "enums", "flags", "structs"):
            if name in getattr(self, kind):
                return kind
        return "bool" if name == "Bool" else "plain"

    def to_c(self, c, name):
        """The expression for a C++ value as an argument of a C function."""
        c = c.replace("WGPU_NULLABLE ", "").strip()
        return {
            "objects": f"{name}.Get()",
            "enums": f"static_cast<{c}>({name})",
            "flags": f"static_cast<{c}>({name})",
            "pointer": f"reinterpret_cast<{c}>({name})",
            "structs": name if c == "WGPUStringView" else f"*reinterpret_cast<{c} const*>(&{name})",
            "bool": f"WGPUBool({name})",
        }.get(self.kind(c), name)

    def from_c(self, c, expression, owned=True):
        """The expression for a C value as a C++ one; `owned` if a reference comes with it."""
        name = self.cpp(c)
        if self.kind(c) == "objects":
            return f"{name}::Acquire({expression})" if owned else f"{name}({expression})"
        if self.kind(c) in ("enums", "flags"):
            return f"static_cast<{name}>({expression})"
        if self.kind(c) == "pointer":
            return f"reinterpret_cast<{name}>({expression})"
        if name == "Future":
            return f"Future{{{expression}.id}}"
        return expression


def split(parameters):
    return [p for p in (p.strip() for p in parameters.split(",")) if p and p != "void"]


def field(declaration):
    type_, name = re.match(r"(.*?)\s*\b(\w+)$", declaration.strip(), re.S).groups()
    return type_.strip(), name


def value_name(name):
    return "e" + name if name[0].isdigit() else name


def print_enums(header):
    print(FLAG_OPERATORS)
    for name, values in header.flags.items():
        print(f"enum class {name} : uint64_t {{")
        for value in values:
            print(f"    {value_name(value)} = WGPU{name}_{value},")
        print(f"}};\ntemplate <>\nstruct IsFlags<{name}> : std::true_type {{}};\n")
    for name, values in header.enums.items():
        print(f"enum class {name} : uint32_t {{")
        for value in values:
            if value != "Force32":
                print(f"    {value_name(value)} = WGPU{name}_{value},")
        print("};\n")


def is_callback_info(name):
    return name.endswith("CallbackInfo")


def methods_of(header, object_):
    for name, result, parameters in header.functions:
        if parameters and header.cpp(parameters[0][0]) == object_ and name.startswith("wgpu" + object_):
            method = name[4 + len(object_):]
            if method not in ("AddRef", "Release", "FreeMembers"):
                yield name, method, result, parameters[1:]


def declared(header, method, parameters):
    """Parameters with their default values, which only the last ones can have."""
    shown, optional = [], True
    for type_, name in reversed(parameters):
        cpp = header.cpp(type_)
        if header.kind(type_) == "objects":
            cpp += " const&"
        default = DEFAULTS.get(method, {}).get(name)
        if default is None and "WGPU_NULLABLE" in type_ and "*" in type_:
            default = "nullptr"
        optional = optional and default is not None
        shown.append(f"{cpp} {name}" + (f" = {default}" if optional else ""))
    return ", ".join(reversed(shown))


def print_objects(header):
    for object_ in header.objects:
        print(f"class {object_};")
    for struct in header.structs:
        if struct not in ("StringView",) and not is_callback_info(struct):
            print(f"struct {struct};")
    for object_ in header.objects:
        c = f"WGPU{object_}"
        print(f"\nclass {object_} : public ObjectBase<{object_}, {c}> {{\n  public:")
        print("    using ObjectBase::ObjectBase;\n    using ObjectBase::operator=;")
        for _, method, result, parameters in methods_of(header, object_):
            if parameters and is_callback_info(parameters[-1][0]):
                print_callback_method(header, f"wgpu{object_}{method}", method, parameters)
            else:
                arguments = declared(header, method, parameters)
                print(f"    inline {header.cpp(result)} {method}({arguments}) const;")
        if object_ == "Instance":
            print("    inline WaitStatus WaitAny(Future future, uint64_t timeoutNS) const;")
        print(f"\n    static void AddRef({c} handle) {{ wgpu{object_}AddRef(handle); }}")
        print(f"    static void Release({c} handle) {{ wgpu{object_}Release(handle); }}\n}};")


def print_trampoline(header, info, kept, indent):
    """The function that calls what `userdata1` points to; it is called once unless that is `kept`."""
    parameters = header.callbacks[info[4:-4]]
    given, called = [], []
    for type_, name in parameters:
        if name.startswith("userdata"):
            continue
        given.append(f"{type_.replace('WGPU_NULLABLE ', '')} {name}")
        if header.cpp(type_) == "Device const *":
            called.append(f"{name} ? Device(*{name}) : Device()")
        else:
            called.append(header.from_c(type_, name))
    print(f"{indent}info.callback = []({', '.join(given)}, void* userdata, void*) {{")
    if kept:
        print(f"{indent}    auto* function = static_cast<Function*>(userdata);")
    else:
        print(f"{indent}    std::unique_ptr<Function> function(static_cast<Function*>(userdata));")
    print(f"{indent}    (*function)({', '.join(called)});\n{indent}}};")
    print(f"{indent}info.userdata1 = new Function(std::move(callback));")


def print_callback_method(header, c_name, method, parameters):
    info = parameters[-1][0]
    arguments = declared(header, "", parameters[:-1]).replace(" = nullptr", "")
    names = [name for _, name in parameters[:-1]]
    passed = "".join(f"{header.to_c(*parameter)}, " for parameter in parameters[:-1])
    lead = f"{arguments}, " if arguments else ""
    print(f"    template <typename Function>\n    Future {method}({lead}CallbackMode callbackMode, Function callback) const;")
    print(f"    template <typename Function, typename Userdata>")
    print(f"    Future {method}({lead}CallbackMode callbackMode, Function callback, Userdata userdata) const;")
    DEFERRED.append((c_name, method, info, lead, names, passed))


DEFERRED = []


def print_callback_bodies(header):
    for c_name, method, info, lead, names, passed in DEFERRED:
        object_ = c_name[4:-len(method)]
        print(f"template <typename Function>\nFuture {object_}::{method}({lead}CallbackMode callbackMode, Function callback) const {{")
        print(f"    {info} info = {{}};\n    info.mode = static_cast<WGPUCallbackMode>(callbackMode);")
        print_trampoline(header, info, False, "    ")
        print(f"    return Future{{{c_name}(Get(), {passed}info).id}};\n}}\n")
        print(f"template <typename Function, typename Userdata>")
        print(f"Future {object_}::{method}({lead}CallbackMode callbackMode, Function callback, Userdata userdata) const {{")
        given = "".join(f"{name}, " for name in names)
        print(f"    return {method}({given}callbackMode, [callback, userdata](auto&&... given) {{")
        print("        callback(std::forward<decltype(given)>(given)..., userdata);\n    });\n}\n")


def initial(header, type_, value):
    if value.endswith("_INIT") or value.startswith("_wgpu_ENUM_ZERO"):
        return "{}"
    if value == "NULL":
        return "nullptr"
    match = re.fullmatch(r"WGPU(\w+?)_(\w+)", value)
    if match and header.kind(type_) in ("enums", "flags"):
        return f"{match[1]}::{value_name(match[2])}"
    return {"WGPU_FALSE": "false", "WGPU_TRUE": "true"}.get(value, value)


def print_structs(header):
    freed = {name[4:-11] for name, _, _ in header.functions if name.endswith("FreeMembers")}
    for name, fields in header.structs.items():
        if name == "StringView" or is_callback_info(name):
            continue
        if name == "ChainedStruct":
            print("struct ChainedStruct {\n    ChainedStruct* nextInChain = nullptr;\n    SType sType = SType(0);\n};\n")
            continue
        chained = fields[0] == ("WGPUChainedStruct", "chain")
        print(f"struct {name}{' : ChainedStruct' if chained else ''} {{")
        if chained:
            print(f"    {name}() {{ sType = SType::{name}; }}")
        values = header.initial.get(name, [])
        for (type_, field_), value in list(zip(fields, values, strict=True))[chained:]:
            if is_callback_info(type_):
                print(f"    {type_} {field_} = {{}};")
            else:
                print(f"    {header.cpp(type_)} {field_} = {initial(header, type_, value)};")
        if name in freed:
            print(f"\n    {name}() = default;\n    {name}({name} const&) = delete;\n    {name}& operator=({name} const&) = delete;")
            print(f"    ~{name}() {{ wgpu{name}FreeMembers(*reinterpret_cast<WGPU{name}*>(this)); }}")
        if name == "DeviceDescriptor":
            print_setter(header, "SetDeviceLostCallback", "WGPUDeviceLostCallbackInfo", "deviceLostCallbackInfo", False)
            print_setter(header, "SetUncapturedErrorCallback", "WGPUUncapturedErrorCallbackInfo", "uncapturedErrorCallbackInfo", True)
        print(f"}};\nstatic_assert(sizeof({name}) == sizeof(WGPU{name}) && alignof({name}) == alignof(WGPU{name}));")
        for _, field_ in fields[chained:]:
            print(f"static_assert(offsetof({name}, {field_}) == offsetof(WGPU{name}, {field_}));")
        print()


def print_setter(header, method, info, field_, kept):
    mode = "" if kept else "CallbackMode callbackMode, "
    print(f"\n    template <typename Function>\n    void {method}({mode}Function callback) {{\n        {info} info = {{}};")
    if not kept:
        print("        info.mode = static_cast<WGPUCallbackMode>(callbackMode);")
    print_trampoline(header, info, kept, "        ")
    print(f"        {field_} = info;\n    }}")


def print_methods(header):
    for object_ in header.objects:
        for c_name, method, result, parameters in methods_of(header, object_):
            if parameters and is_callback_info(parameters[-1][0]):
                continue
            arguments = re.sub(r" = \w+", "", declared(header, method, parameters))
            passed = "".join(f", {header.to_c(*parameter)}" for parameter in parameters)
            call = f"{c_name}(Get(){passed})"
            body = f"{call};" if result == "void" else f"return {header.from_c(result, call)};"
            print(f"inline {header.cpp(result)} {object_}::{method}({arguments}) const {{ {body} }}")


def print_free_functions(header):
    for name, result, parameters in header.functions:
        if parameters and (header.kind(parameters[0][0]) == "objects" or name.endswith("FreeMembers")):
            continue
        arguments = declared(header, name[4:], parameters)
        passed = ", ".join(header.to_c(*parameter) for parameter in parameters)
        call = f"{name}({passed})"
        body = f"{call};" if result == "void" else f"return {header.from_c(result, call)};"
        print(f"inline {header.cpp(result)} {name[4:]}({arguments}) {{ {body} }}")


def print_constants(text):
    for name in re.findall(r"#define WGPU_(\w+) \((?:U?INT|SIZE)", text):
        words = "".join(word.capitalize() for word in name.split("_"))
        if name not in ("TRUE", "FALSE"):
            print(f"static constexpr auto k{words} = WGPU_{name};")


def main():
    text = open(sys.argv[1], encoding="utf-8").read()
    header = Header(text)
    print(PRELUDE)
    print_constants(text)
    print()
    print_enums(header)
    print_objects(header)
    print()
    # Offsets are asked of types that have constructors, which every compiler here answers.
    print('#pragma GCC diagnostic push\n#pragma GCC diagnostic ignored "-Winvalid-offsetof"\n')
    print_structs(header)
    print("#pragma GCC diagnostic pop\n")
    print_methods(header)
    print("""\
inline WaitStatus Instance::WaitAny(Future future, uint64_t timeoutNS) const {
    FutureWaitInfo info;
    info.future = future;
    return WaitAny(1, &info, timeoutNS);
}
""")
    print_callback_bodies(header)
    print_free_functions(header)
    print("\n}  // namespace wgpu\n\n#endif")


main()
