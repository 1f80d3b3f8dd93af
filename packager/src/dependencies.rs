//! What a module consists of, as far as its compiler left that in it, as a bill of materials.
//!
//! | compiler | where | what |
//! | --- | --- | --- |
//! | rustc under `cargo auditable` | custom section `.dep-v0`, JSON in zlib | every crate |
//! | Go | a string among the data, between two fixed marks | every Go module |
//! | nearly all | custom section `producers` | languages and tools |

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;
use serde_json::{Value, json};
use wasmparser::{KnownCustom, Parser, Payload};

use crate::digest::{Digest, excerpt};

/// More than any list of dependencies has, in bytes.
const MAX_LIST: usize = 8 << 20;
/// More dependencies than any program has.
const MOST: usize = 65_536;

/// Where Go keeps what it knows of a program: between these two.
const GO_START: [u8; 16] = [
    0x30, 0x77, 0xaf, 0x0c, 0x92, 0x74, 0x08, 0x02, 0x41, 0xe1, 0xc1, 0x07, 0xe6, 0xd6, 0x18, 0xe6,
];
const GO_END: [u8; 16] = [
    0xf9, 0x32, 0x43, 0x31, 0x86, 0x18, 0x20, 0x72, 0x00, 0x82, 0x42, 0x10, 0x41, 0x16, 0xd8, 0xf2,
];

/// What a module consists of.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Materials {
    /// What was linked into it; none if the compiler left no list, which does not mean that
    /// there is nothing.
    pub components: Option<Vec<Component>>,
    /// Languages and tools that made it, with their versions.
    pub tools: Vec<(String, String)>,
}

/// Something that was linked into a module.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Component {
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: String,
    /// Its package URL, which names it among all packages.
    pub purl: String,
    /// The components that it depends on, by their package URLs.
    pub depends_on: Vec<String>,
}

/// Why what the compiler left cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MaterialsError {
    /// The module itself cannot be read.
    #[error("not a valid module: {0}")]
    Module(String),
    /// The list of dependencies is damaged, or too large.
    #[error("its list of dependencies ({place}) is refused: {reason}")]
    List {
        /// Where it is.
        place: &'static str,
        /// What is wrong with it.
        reason: String,
    },
}

impl Materials {
    /// Reads what the compiler left in a module.
    ///
    /// # Errors
    /// The module is damaged, or a list in it.
    pub fn of(wasm: &[u8]) -> Result<Self, MaterialsError> {
        let mut materials = Self::default();
        for payload in Parser::new(0).parse_all(wasm) {
            let payload = payload.map_err(|error| MaterialsError::Module(error.to_string()))?;
            match payload {
                Payload::CustomSection(section) if section.name() == ".dep-v0" => {
                    materials.components = Some(crates(section.data())?);
                }
                Payload::CustomSection(section) => {
                    if let KnownCustom::Producers(producers) = section.as_known() {
                        materials.tools.extend(tools(producers));
                    }
                }
                Payload::DataSection(section) => {
                    if let Some(text) = between(&wasm[section.range()], &GO_START, &GO_END) {
                        materials.components = Some(go_modules(text)?);
                        materials.tools.push(("Go".to_owned(), String::new()));
                    }
                }
                _ => {}
            }
        }
        if let Some(components) = &mut materials.components {
            components.sort();
            components.dedup();
        }
        materials.tools.sort();
        materials.tools.dedup();
        Ok(materials)
    }

    /// As a CycloneDX 1.5 document about the module, which is called `name`. The same module gives
    /// the same document: it has no time and no serial number.
    #[must_use]
    pub fn to_cyclonedx(&self, name: &str, version: Option<&str>, module: &Digest) -> Value {
        let hash = json!([{ "alg": "SHA-256", "content": module.hex() }]);
        let mut subject = json!({
            "type": "application",
            "bom-ref": "module",
            "name": name,
            "hashes": hash,
        });
        if let Some(version) = version {
            subject["version"] = version.into();
        }
        let tools = self.tools.iter().map(
            |(name, version)| json!({ "type": "application", "name": name, "version": version }),
        );
        let components = self.components.as_deref().unwrap_or_default();
        // What a compiler does not count (a C library, for instance) is not in its list.
        let aggregate = match &self.components {
            Some(_) => "incomplete",
            None => "unknown",
        };
        json!({
            "bomFormat": "CycloneDX",
            "specVersion": "1.5",
            "version": 1,
            "metadata": {
                "component": subject,
                "tools": { "components": tools.collect::<Vec<_>>() },
            },
            "components": components.iter().map(component_value).collect::<Vec<_>>(),
            "dependencies": components.iter().map(dependency_value).collect::<Vec<_>>(),
            "compositions": [{ "aggregate": aggregate, "assemblies": ["module"] }],
        })
    }
}

fn component_value(component: &Component) -> Value {
    json!({
        "type": "library",
        "bom-ref": component.purl,
        "name": component.name,
        "version": component.version,
        "purl": component.purl,
    })
}

fn dependency_value(component: &Component) -> Value {
    json!({ "ref": component.purl, "dependsOn": component.depends_on })
}

fn tools(producers: wasmparser::ProducersSectionReader<'_>) -> Vec<(String, String)> {
    let values = producers.into_iter().flatten().flat_map(|field| {
        let values = field.values.into_iter().flatten();
        values.map(|value| (value.name.to_owned(), value.version.to_owned()))
    });
    values.take(MOST).collect()
}

/// As `cargo auditable` writes it: packages, which name each other by their places in the list.
#[derive(Deserialize)]
struct Auditable {
    packages: Vec<Package>,
}

#[derive(Deserialize)]
struct Package {
    name: String,
    version: String,
    #[serde(default)]
    dependencies: Vec<usize>,
    #[serde(default)]
    kind: Option<String>,
    #[serde(default)]
    root: bool,
}

fn crates(compressed: &[u8]) -> Result<Vec<Component>, MaterialsError> {
    let refused = |reason: String| MaterialsError::List {
        place: "section .dep-v0",
        reason,
    };
    let json = miniz_oxide::inflate::decompress_to_vec_zlib_with_limit(compressed, MAX_LIST)
        .map_err(|error| refused(error.to_string()))?;
    let list: Auditable =
        serde_json::from_slice(&json).map_err(|error| refused(error.to_string()))?;
    if list.packages.len() > MOST {
        return Err(refused(format!("it has more than {MOST} packages")));
    }
    let purls: Vec<_> = list
        .packages
        .iter()
        .map(|package| purl("cargo", &package.name, &package.version))
        .collect();
    let is_linked = |package: &Package| package.kind.as_deref() != Some("build") && !package.root;
    let component = |package: &Package| {
        let linked = |index: &usize| {
            let package = list.packages.get(*index)?;
            is_linked(package).then(|| purls[*index].clone())
        };
        let depends_on: BTreeSet<_> = package.dependencies.iter().filter_map(linked).collect();
        Component {
            name: package.name.clone(),
            version: package.version.clone(),
            purl: purl("cargo", &package.name, &package.version),
            depends_on: depends_on.into_iter().collect(),
        }
    };
    Ok(list
        .packages
        .iter()
        .filter(|package| is_linked(package))
        .map(component)
        .collect())
}

/// Lines of fields with tabs between them: `dep`, path, version, checksum; after one, `=>` has what
/// is in its place.
fn go_modules(text: &[u8]) -> Result<Vec<Component>, MaterialsError> {
    let refused = |reason: &str| MaterialsError::List {
        place: "Go's build information",
        reason: reason.to_owned(),
    };
    if text.len() > MAX_LIST {
        return Err(refused("it is too large"));
    }
    let text = std::str::from_utf8(text).map_err(|_| refused("it is not text"))?;
    let mut components: Vec<Component> = Vec::new();
    for line in text.lines() {
        let fields: Vec<_> = line.split('\t').collect();
        let (path, version) = match fields.as_slice() {
            ["dep" | "=>", path, version, ..] => (*path, *version),
            _ => continue,
        };
        if fields[0] == "=>" {
            components.pop();
        }
        if components.len() == MOST {
            return Err(refused("it has too many modules"));
        }
        components.push(Component {
            name: path.to_owned(),
            version: version.to_owned(),
            purl: purl("golang", path, version),
            depends_on: Vec::new(),
        });
    }
    Ok(components)
}

/// A package URL. What has a meaning in it is escaped, but not the `/` between parts of a name.
fn purl(kind: &str, name: &str, version: &str) -> String {
    let escape = |text: &str, plain: &[u8]| -> String {
        let byte = |byte: u8| {
            if byte.is_ascii_alphanumeric() || b".-_~".contains(&byte) || plain.contains(&byte) {
                char::from(byte).to_string()
            } else {
                format!("%{byte:02X}")
            }
        };
        text.bytes().map(byte).collect()
    };
    format!("pkg:{kind}/{}@{}", escape(name, b"/"), escape(version, b""))
}

fn between<'a>(bytes: &'a [u8], start: &[u8], end: &[u8]) -> Option<&'a [u8]> {
    let find = |bytes: &[u8], mark: &[u8]| bytes.windows(mark.len()).position(|at| at == mark);
    let from = find(bytes, start)? + start.len();
    let length = find(&bytes[from..], end)?;
    Some(&bytes[from..from + length])
}

/// What a manifest is called, for a bill of materials: title and version of its annotations, or
/// else its digest.
#[must_use]
pub fn title_of(
    annotations: &BTreeMap<String, String>,
    digest: &Digest,
) -> (String, Option<String>) {
    let value = |key: &str| annotations.get(key).map(|text| excerpt(text));
    let title = value("org.opencontainers.image.title");
    let version = value("org.opencontainers.image.version");
    (title.unwrap_or_else(|| digest.to_string()), version)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// A module with one custom section.
    fn module(name: &str, data: &[u8]) -> Vec<u8> {
        let length = |bytes: usize| {
            let (mut left, mut encoded) = (bytes, Vec::new());
            loop {
                let byte = u8::try_from(left & 0x7f).unwrap();
                left >>= 7;
                if left == 0 {
                    encoded.push(byte);
                    return encoded;
                }
                encoded.push(byte | 0x80);
            }
        };
        let content = [&length(name.len()), name.as_bytes(), data].concat();
        let head = b"\0asm\x01\0\0\0\0";
        [head, length(content.len()).as_slice(), &content].concat()
    }

    fn auditable(json: &str) -> Result<Materials, MaterialsError> {
        let data = miniz_oxide::deflate::compress_to_vec_zlib(json.as_bytes(), 6);
        Materials::of(&module(".dep-v0", &data))
    }

    #[test]
    fn crates_that_were_linked() {
        let materials = auditable(
            r#"{"packages":[
                {"name":"app","version":"0.1.0","source":"local","root":true,"dependencies":[1,2]},
                {"name":"libc","version":"0.2.1+x","source":"crates.io","dependencies":[2]},
                {"name":"memchr","version":"2.7.4","source":"crates.io"},
                {"name":"cc","version":"1.0.0","source":"crates.io","kind":"build"}]}"#,
        )
        .unwrap();
        let components = materials.components.as_ref().unwrap();
        let names: Vec<_> = components.iter().map(|one| one.purl.as_str()).collect();
        assert_eq!(
            names,
            ["pkg:cargo/libc@0.2.1%2Bx", "pkg:cargo/memchr@2.7.4"]
        );
        assert_eq!(components[0].depends_on, ["pkg:cargo/memchr@2.7.4"]);
        let bom = materials.to_cyclonedx("app", Some("0.1.0"), &Digest::of(b"wasm"));
        assert_eq!(bom["components"].as_array().unwrap().len(), 2);
        assert_eq!(bom["compositions"][0]["aggregate"], "incomplete");
        assert_eq!(bom["metadata"]["component"]["version"], "0.1.0");
    }

    #[test]
    fn modules_that_go_linked() {
        let text = "path\tapp\nmod\tapp\t(devel)\t\ndep\texample.org/a\tv1.2.3\th1:x=\ndep\texample.org/b\tv2.0.0\n=>\texample.org/c\tv3.0.0\th1:y=\nbuild\tGOOS=wasip1\n";
        let data = [&GO_START, text.as_bytes(), &GO_END].concat();
        let literal: String = data.iter().map(|byte| format!("\\{byte:02x}")).collect();
        let text = format!(r#"(module (memory 1) (data (i32.const 0) "junk{literal}junk"))"#);
        let materials = Materials::of(&wat::parse_str(text).unwrap()).unwrap();
        let components = materials.components.unwrap();
        let names: Vec<_> = components.iter().map(|one| one.purl.as_str()).collect();
        let expected = [
            "pkg:golang/example.org/a@v1.2.3",
            "pkg:golang/example.org/c@v3.0.0",
        ];
        assert_eq!(names, expected);
        assert_eq!(materials.tools, [("Go".to_owned(), String::new())]);
    }

    #[test]
    fn a_compiler_that_left_no_list_is_not_one_that_linked_nothing() {
        let materials = Materials::of(b"\0asm\x01\0\0\0").unwrap();
        assert_eq!(materials, Materials::default());
        let bom = materials.to_cyclonedx("a", None, &Digest::of(b""));
        assert_eq!(bom["compositions"][0]["aggregate"], "unknown");
    }

    #[test]
    fn lists_that_are_refused() {
        let bomb = vec![b' '; MAX_LIST + 1];
        let bomb = miniz_oxide::deflate::compress_to_vec_zlib(&bomb, 6);
        assert!(bomb.len() < 100_000);
        for data in [bomb.as_slice(), b"", b"not zlib"] {
            let error = Materials::of(&module(".dep-v0", data)).unwrap_err();
            assert!(matches!(error, MaterialsError::List { .. }), "{error}");
        }
        assert!(auditable("[]").is_err());
        // A dependency on what is not in the list is on nothing.
        let materials =
            auditable(r#"{"packages":[{"name":"a","version":"1","dependencies":[7]}]}"#).unwrap();
        assert_eq!(materials.components.unwrap()[0].depends_on, [""; 0]);
    }

    proptest! {
        #[test]
        fn any_section_is_read_or_refused(name in "\\.dep-v0|producers", data: Vec<u8>) {
            let _ = Materials::of(&module(&name, &data));
        }

        #[test]
        fn any_text_of_go_is_read_or_refused(text in "((dep|=>|mod)?\t?[a-z]?\t?\n?)*") {
            let _ = go_modules(text.as_bytes());
        }

        #[test]
        fn any_module_is_read_or_refused(data: Vec<u8>) {
            let _ = Materials::of(&[b"\0asm\x01\0\0\0", data.as_slice()].concat());
        }
    }
}
