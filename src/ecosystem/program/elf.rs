//! What the first bytes of an executable tell: `#!` line, architecture, loader, Go.
//!
//! Pure: bytes in, facts out. Source: elf(5), and the note that the Go linker writes
//! (cmd/internal/buildid). Never trusts an offset.

use crate::limits;

/// What a file is, by its first bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Image {
    /// A script with its interpreter and the one argument that the kernel passes.
    Script {
        /// Path after `#!`.
        interpreter: String,
        /// The rest of the line.
        argument: Option<String>,
    },
    /// An ELF executable.
    Elf(Elf),
    /// Neither.
    Unknown,
}

/// What an ELF header and its program headers tell.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Elf {
    /// `e_machine`, such as 62 for x86-64.
    pub machine: u16,
    /// Whether it is a 64-bit file.
    pub wide: bool,
    /// Whether a dynamic loader maps libraries into it (`PT_INTERP`).
    pub dynamic: bool,
    /// The loader's path, as far as it is in the bytes.
    pub loader: Option<String>,
    /// Whether Go built it: it makes its system calls itself, even when linked dynamically.
    pub go: bool,
}

/// How many bytes of a file are enough for all usual linkers.
pub const HEAD: usize = limits::PROGRAM_HEAD;

const PT_LOAD: u32 = 1;
const PT_DYNAMIC: u32 = 2;
const PT_INTERP: u32 = 3;
const PT_NOTE: u32 = 4;
/// Name `Go\0\0`, type 4: the Go build id.
const GO_NOTE: [u8; 4] = *b"Go\0\0";

/// Address of the names of dynamic symbols, and their size, in the dynamic section.
const DT_STRTAB: usize = 5;
const DT_STRSZ: usize = 10;

/// The function with which every form of Node begins: `node::Start(int, char**)`. Programs whose Node is in a library
/// (`libnode.so`) import it, all others export it, for the addons that they load.
pub const NODE_SYMBOL: &str = "_ZN4node5StartEiPPc";

/// Whether a dynamically linked program exports or imports a symbol, by the names that its loader reads. `part` reads
/// so many bytes of the file from an offset, fewer at its end.
pub fn has_symbol(
    head: &[u8],
    symbol: &str,
    part: impl Fn(usize, usize) -> Option<Vec<u8>>,
) -> bool {
    names(head, part)
        .is_some_and(|names| names.split(|byte| *byte == 0).any(|name| name == symbol.as_bytes()))
}

/// The names of dynamic symbols, each with a NUL behind it.
fn names(head: &[u8], part: impl Fn(usize, usize) -> Option<Vec<u8>>) -> Option<Vec<u8>> {
    if !head.starts_with(b"\x7fELF") {
        return None;
    }
    let wide = *head.get(4)? == 2;
    let little = *head.get(5)? == 1;
    let headers = program_headers(&Bytes { all: head, little }, wide)?;
    let dynamic = headers.iter().find(|header| header.kind == PT_DYNAMIC)?;
    let all = part(dynamic.offset, dynamic.length.min(limits::DYNAMIC_SECTION))?;
    let bytes = Bytes { all: &all, little };
    let word = if wide { 8 } else { 4 };
    let value = |tag| {
        let tags = (0..all.len()).step_by(2 * word);
        let at = tags.into_iter().find(|at| bytes.word(*at, wide) == Some(tag))?;
        bytes.word(at + word, wide)
    };
    let (address, size) = (value(DT_STRTAB)?, value(DT_STRSZ)?);
    let offset = headers.iter().filter(|header| header.kind == PT_LOAD).find_map(|header| {
        let inside = address.checked_sub(header.address)?;
        (inside < header.length).then(|| header.offset.checked_add(inside))?
    })?;
    part(offset, size.min(limits::SYMBOL_NAMES))
}

/// Reads the head of a file.
pub fn image(head: &[u8]) -> Image {
    if let Some(line) = head.strip_prefix(b"#!") {
        return script(line);
    }
    elf(head).map_or(Image::Unknown, Image::Elf)
}

fn script(line: &[u8]) -> Image {
    let line = line.split(|byte| *byte == b'\n').next().unwrap_or(line);
    let line = String::from_utf8_lossy(line);
    let line = line.trim();
    let (interpreter, argument) = line.split_once([' ', '\t']).unwrap_or((line, ""));
    if interpreter.is_empty() {
        return Image::Unknown;
    }
    let argument = Some(argument.trim().to_owned()).filter(|argument| !argument.is_empty());
    Image::Script { interpreter: interpreter.to_owned(), argument }
}

/// Reads little- and big-endian numbers without ever leaving the bytes.
struct Bytes<'a> {
    all: &'a [u8],
    little: bool,
}

impl Bytes<'_> {
    fn array<const N: usize>(&self, at: usize) -> Option<[u8; N]> {
        let mut bytes: [u8; N] = self.all.get(at..at.checked_add(N)?)?.try_into().ok()?;
        if !self.little {
            bytes.reverse();
        }
        Some(bytes)
    }

    fn u16(&self, at: usize) -> Option<u16> {
        self.array(at).map(u16::from_le_bytes)
    }

    fn u32(&self, at: usize) -> Option<u32> {
        self.array(at).map(u32::from_le_bytes)
    }

    /// A field as wide as an address.
    fn word(&self, at: usize, wide: bool) -> Option<usize> {
        if wide {
            self.array(at).map(u64::from_le_bytes).and_then(|value| usize::try_from(value).ok())
        } else {
            self.u32(at).and_then(|value| usize::try_from(value).ok())
        }
    }
}

fn elf(head: &[u8]) -> Option<Elf> {
    if !head.starts_with(b"\x7fELF") {
        return None;
    }
    let wide = *head.get(4)? == 2;
    let bytes = Bytes { all: head, little: *head.get(5)? == 1 };
    let mut elf = Elf { machine: bytes.u16(18)?, wide, dynamic: false, loader: None, go: false };
    let (count, headers) = (header_count(&bytes, wide)?, program_headers(&bytes, wide)?);
    // Patched files keep this table at their end; whoever patches a loader path has one.
    elf.dynamic = headers.len() < count;
    for header in headers {
        let end = header.offset.checked_add(header.length);
        let content = end.and_then(|end| head.get(header.offset..end));
        match header.kind {
            PT_INTERP => {
                elf.dynamic = true;
                elf.loader = content.map(text);
            }
            PT_NOTE => elf.go |= content.is_some_and(|notes| has_go_note(&bytes, notes)),
            _ => {}
        }
    }
    Some(elf)
}

/// A part of the file and where it is mapped.
struct ProgramHeader {
    kind: u32,
    offset: usize,
    address: usize,
    /// In the file.
    length: usize,
}

fn header_count(bytes: &Bytes<'_>, wide: bool) -> Option<usize> {
    Some(usize::from(bytes.u16(if wide { 56 } else { 44 })?))
}

/// The program headers that lie within the bytes.
fn program_headers(bytes: &Bytes<'_>, wide: bool) -> Option<Vec<ProgramHeader>> {
    let table = bytes.word(if wide { 32 } else { 28 }, wide)?;
    let size = usize::from(bytes.u16(if wide { 54 } else { 42 })?);
    let at = |nr: usize| table.checked_add(nr.checked_mul(size)?);
    let headers = (0..header_count(bytes, wide)?).map(|nr| program_header(bytes, at(nr)?, wide));
    Some(headers.map_while(|header| header).collect())
}

fn program_header(bytes: &Bytes<'_>, at: usize, wide: bool) -> Option<ProgramHeader> {
    let (offset, address, length) = if wide { (8, 16, 32) } else { (4, 8, 16) };
    let word = |field| bytes.word(at.checked_add(field)?, wide);
    let kind = bytes.u32(at)?;
    Some(ProgramHeader {
        kind,
        offset: word(offset)?,
        address: word(address)?,
        length: word(length)?,
    })
}

fn text(bytes: &[u8]) -> String {
    let end = bytes.iter().position(|byte| *byte == 0).unwrap_or(bytes.len());
    String::from_utf8_lossy(&bytes[..end]).into_owned()
}

/// Walks notes: name size, content size, type, name, content, each padded to four bytes.
fn has_go_note(outer: &Bytes<'_>, notes: &[u8]) -> bool {
    let bytes = Bytes { all: notes, little: outer.little };
    let mut at = 0usize;
    while let (Some(name), Some(content)) = (bytes.u32(at), bytes.u32(at.saturating_add(4))) {
        let start = at.saturating_add(12);
        if name == 4 && notes.get(start..start.saturating_add(4)) == Some(&GO_NOTE) {
            return true;
        }
        let padded = |size: u32| (size as usize).saturating_add(3) & !3;
        at = start.saturating_add(padded(name)).saturating_add(padded(content));
    }
    false
}

/// `e_machine` of the machine that this is compiled for, and its name; `None` where unknown.
pub fn native_machine() -> Option<u16> {
    MACHINES.iter().find(|(_, arch)| *arch == std::env::consts::ARCH).map(|(nr, _)| *nr)
}

/// Name of a machine in the words of `uname -m`.
pub fn machine_name(machine: u16) -> String {
    let known = MACHINES.iter().find(|(nr, _)| *nr == machine);
    known.map_or_else(|| format!("machine {machine}"), |(_, name)| (*name).to_owned())
}

const MACHINES: &[(u16, &str)] = &[
    (62, "x86_64"),
    (183, "aarch64"),
    (3, "x86"),
    (40, "arm"),
    (243, "riscv64"),
    (22, "s390x"),
    (21, "powerpc64"),
    (258, "loongarch64"),
];

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn scripts() {
        let script = |interpreter: &str, argument: Option<&str>| Image::Script {
            interpreter: interpreter.to_owned(),
            argument: argument.map(str::to_owned),
        };
        assert_eq!(image(b"#!/bin/sh\necho"), script("/bin/sh", None));
        assert_eq!(image(b"#! /usr/bin/env  node \n"), script("/usr/bin/env", Some("node")));
        assert_eq!(image(b"#!/a -S b c"), script("/a", Some("-S b c")));
        assert_eq!(image(b"#!\n"), Image::Unknown);
        assert_eq!(image(b""), Image::Unknown);
    }

    #[test]
    fn this_test_is_an_elf_of_this_machine() {
        let bytes = std::fs::read(std::env::current_exe().unwrap()).unwrap();
        let Image::Elf(elf) = image(&bytes[..HEAD]) else { panic!("no ELF") };
        assert_eq!(Some(elf.machine), native_machine());
        assert!(elf.dynamic && elf.loader.unwrap().contains("ld-"));
        assert!(!elf.go);
    }

    /// A 64-bit header with one program header whose content follows at once.
    fn tiny(kind: u32, content: &[u8]) -> Vec<u8> {
        let mut bytes = b"\x7fELF\x02\x01\x01".to_vec();
        bytes.resize(64, 0);
        bytes[18..20].copy_from_slice(&62u16.to_le_bytes());
        bytes[32] = 64;
        bytes[54] = 56;
        bytes[56] = 1;
        bytes.extend(kind.to_le_bytes());
        bytes.resize(64 + 56, 0);
        bytes[64 + 8] = 120;
        bytes[64 + 32] = u8::try_from(content.len()).unwrap();
        bytes.extend(content);
        bytes
    }

    #[test]
    fn loader_and_go_note() {
        let Image::Elf(elf) = image(&tiny(PT_INTERP, b"/lib/ld-musl-x86_64.so.1\0")) else {
            panic!("no ELF")
        };
        assert_eq!(elf.loader.as_deref(), Some("/lib/ld-musl-x86_64.so.1"));
        let note = b"\x04\0\0\0\x04\0\0\0\x04\0\0\0Go\0\0abcd";
        let Image::Elf(elf) = image(&tiny(PT_NOTE, note)) else { panic!("no ELF") };
        assert!(elf.go && !elf.dynamic);
    }

    fn part(bytes: &[u8], offset: usize, length: usize) -> Option<Vec<u8>> {
        let rest = bytes.get(offset..)?;
        Some(rest[..rest.len().min(length)].to_vec())
    }

    #[test]
    fn names_that_the_loader_reads() {
        let bytes = std::fs::read(std::env::current_exe().unwrap()).unwrap();
        let has = |symbol| has_symbol(&bytes[..HEAD], symbol, |at, size| part(&bytes, at, size));
        assert!(has("memcpy") || has("write"));
        assert!(!has("memcp") && !has(NODE_SYMBOL));
    }

    /// Lengths that are asked for of a program with so long a dynamic section, and so many bytes of names.
    fn asked(section: usize, names: usize) -> Vec<usize> {
        let word = |number: usize| u64::try_from(number).unwrap().to_le_bytes();
        let mut head = b"\x7fELF\x02\x01\x01".to_vec();
        head.resize(64, 0);
        (head[32], head[54], head[56]) = (64, 56, 2);
        for (kind, offset, length) in [(PT_DYNAMIC, 176, section), (PT_LOAD, 0, usize::MAX >> 1)] {
            head.extend(u64::from(kind).to_le_bytes());
            head.extend([offset, 0, 0, length, length, 0].map(word).concat());
        }
        head.extend([DT_STRTAB, 16, DT_STRSZ, names].map(word).concat());
        let asked = std::cell::RefCell::default();
        has_symbol(&head, "x", |offset, length| {
            Vec::push(&mut asked.borrow_mut(), length);
            part(&head, offset, length)
        });
        asked.into_inner()
    }

    #[test]
    fn no_more_is_read_than_any_program_has() {
        let (section, names) = (limits::DYNAMIC_SECTION, limits::SYMBOL_NAMES);
        assert_eq!(asked(section - 1, names - 1), [section - 1, names - 1]);
        assert_eq!(asked(section, names), [section, names]);
        assert_eq!(asked(section + 1, names + 1), [section, names]);
    }

    #[test]
    fn lies_are_survived() {
        let places =
            [PT_NOTE, PT_DYNAMIC].into_iter().flat_map(|kind| (0..120).map(move |at| (kind, at)));
        for (kind, offset) in places {
            let mut bytes = tiny(kind, b"\xff\xff\xff\xff\xff\xff\xff\xff1234");
            bytes[offset] = 0xff;
            for end in 0..bytes.len() {
                let head = &bytes[..end];
                let _ = image(head);
                let _ = has_symbol(head, "x", |at, size| part(head, at, size));
            }
        }
    }
}
