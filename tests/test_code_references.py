"""References from code to data: every form that Go emits, what only looks like one, and where chunks and text end."""

from __future__ import annotations

import struct
import tracemalloc
from itertools import pairwise

import numpy as np
import pytest

from goforensics.sections import code_references
from goforensics.sections.code_references import SUPPORTED, scan

TEXT = 0x401000
DATA = 0x512340  # what the examples refer to; bits 11 and 15 tell whether low parts are signed
HIGH = 0x51C9A8
RANGES = [(0x500000, 0x520000)]
BIG_ENDIAN = {"mips", "mips64", "ppc64", "s390x"}


def order(goarch: str) -> str:
    return ">" if goarch in BIG_ENDIAN else "<"


def found(goarch: str, code: bytes, ranges: list[tuple[int, int]] = RANGES) -> list[tuple[int, int]]:
    """(offset in the code, target) of every reference."""
    refs = scan(goarch, order(goarch), memoryview(code), TEXT, ranges)
    assert refs.pc.dtype == refs.target.dtype == np.uint64
    assert len(refs.pc) == len(refs.target)
    return [(pc - TEXT, target) for pc, target in zip(refs.pc.tolist(), refs.target.tolist(), strict=True)]


def words(goarch: str, *values: int) -> bytes:
    return struct.pack(f"{order(goarch)}{len(values)}I", *values)


def relative(head: str, immediate: int = 0, target: int = DATA, at: int = 0) -> bytes:
    """An instruction up to its ModRM, the distance to `target` from its end, and an immediate of so many bytes."""
    begin = bytes.fromhex(head)
    end = TEXT + at + len(begin) + 4 + immediate
    return begin + struct.pack("<i", target - end) + bytes([0x11] * immediate)


# fmt: off
AMD64 = [  # opcode up to ModRM, size of the immediate; m is [rip+d], registers left out
    ("48 8d 05", 0), ("4c 8b 3d", 0), ("89 0d", 0),  # lea rax, m; mov r15, m; mov m, ecx
    ("48 39 15", 0), ("83 3d", 1), ("80 3d", 1),  # cmp m, rdx; cmp m32, imm8; cmp m8, imm8
    ("81 3d", 4), ("48 c7 05", 4), ("c7 05", 4),  # cmp m32, imm32; mov m64, imm32; mov m32, imm32
    ("66 c7 05", 2), ("66 41 c7 05", 2), ("c6 05", 1),  # mov m16, imm16; the same with REX; mov m8, imm8
    ("f6 05", 1), ("f7 05", 4), ("48 f7 25", 0),  # test m8, imm8; test m32, imm32; mul m64
    ("48 69 05", 4), ("48 6b 05", 1), ("c1 25", 1),  # imul rax, m, imm32; imul rax, m, imm8; shl m32, imm8
    ("fe 0d", 0), ("ff 15", 0), ("f0 0f b1 0d", 0),  # dec m8; call m; lock cmpxchg m, ecx
    ("48 0f c7 0d", 0), ("0f b6 05", 0), ("48 0f ba 25", 1),  # cmpxchg16b m; movzx eax, m8; bt m64, imm8
    ("0f 10 05", 0), ("f2 0f 10 05", 0), ("66 0f 6f 0d", 0),  # movups m; movsd m; movdqa m
    ("66 0f 70 05", 1), ("66 0f 38 00 05", 0), ("66 0f 3a 0f 05", 1),  # pshufd m, imm8; pshufb m; palignr m, imm8
    ("c5 fd 6f 05", 0), ("c5 fd 70 05", 1), ("c4 e2 7d 00 05", 0),  # vmovdqa m; vpshufd m, imm8; vpshufb m
    ("c4 e3 7d 46 05", 1), ("62 f1 fd 48 6f 05", 0), ("62 f2 7d 48 00 05", 0),  # vperm2i128; vmovdqa64; vpshufb
    ("62 f3 fd 48 25 05", 1),  # vpternlogq m, imm8
]
# fmt: on


@pytest.mark.parametrize(("head", "immediate"), AMD64)
def test_amd64(head: str, immediate: int) -> None:
    code = b"\x90" * 8 + relative(head, immediate, at=8) + b"\xc3" * 8
    assert found("amd64", code) == [(8 + len(bytes.fromhex(head)), DATA)]


def test_amd64_after_a_byte_that_looks_like_an_escape() -> None:
    # and ecx, 0x0f; mov eax, [rip+d]: together 0F 8B would be a jump
    code = bytes.fromhex("83 e1 0f") + relative("8b 05", at=3)
    assert found("amd64", code) == [(5, DATA)]
    # and ecx, 0x0f; mov dword [rip+d], imm32: 0F C7 with this ModRM.reg is no instruction
    code = bytes.fromhex("83 e1 0f") + relative("c7 05", 4, at=3)
    assert found("amd64", code) == [(5, DATA)]


@pytest.mark.parametrize("head", ["48 8d 45", "48 8d c5", "c7 0d", "fe 15", "ff 3d", "e8 05"])
def test_amd64_false_friends(head: str) -> None:
    """Mod 1; mod 3; C7 /1, FE /2 and FF /7 are no instructions; a call has no ModRM."""
    assert found("amd64", relative(head, 4)) == []


@pytest.mark.parametrize("target", [TEXT, RANGES[0][1], RANGES[0][0] - 1])
def test_amd64_of_what_is_not_data(target: int) -> None:
    assert found("amd64", relative("48 8d 05", target=target)) == []


def test_amd64_inside_a_displacement() -> None:
    # lea rax, [rip+0x11..33f], whose displacement ends in what would be "add [rip+d], eax" if it began there
    code = bytearray(relative("48 8d 05", target=0x501234))
    code[4:6] = b"\x01\x05"
    code += struct.pack("<i", 0x108000)
    assert [at for at, _ in found("amd64", bytes(code), [(0x400000, 0x90000000)])] == [3]


FIELD = struct.pack("<I", DATA)
# fmt: off
I386 = [
    ("8d 05", ""), ("8b 0d", ""), ("83 3d", "00"),  # lea eax, [a]; mov ecx, [a]; cmp [a], imm8
    ("0f b6 05", ""), ("f2 0f 10 05", ""), ("dd 05", ""),  # movzx eax, [a]; movsd xmm0, [a]; fld [a]
    ("8b 04 8d", ""), ("ff 24 85", ""), ("66 0f db 0c dd", ""),  # mov eax, [ecx*4+a]; jmp [eax*4+a]; pand [ebx*8+a]
    ("a1", ""), ("a3", ""), ("68", ""),  # mov eax, [a]; mov [a], eax; push a
    ("bd", ""), ("c7 00", ""), ("c7 04 24", ""),  # mov ebp, a; mov [eax], a; mov [esp], a
    ("c7 44 24 04", ""), ("c7 80 00 01 00 00", ""), ("c7 84 24 00 01 00 00", ""),  # mov [esp+4], [eax+256], [esp+256]
]
# fmt: on


@pytest.mark.parametrize(("head", "tail"), I386)
def test_386(head: str, tail: str) -> None:
    code = b"\x90" * 5 + bytes.fromhex(head) + FIELD + bytes.fromhex(tail) + b"\x90" * 5
    assert found("386", code) == [(5 + len(bytes.fromhex(head)), DATA)]


def test_386_address_and_immediate_of_one_instruction() -> None:
    code = bytes.fromhex("c7 05") + FIELD + struct.pack("<I", HIGH)  # mov dword [DATA], HIGH
    assert found("386", code) == [(2, DATA), (6, HIGH)]


@pytest.mark.parametrize("head", ["90", "e8", "8b 44 24", "8b 80", "89 84 24 b8", "c7 48", "c7 44 24", "0f 0b"])
def test_386_false_friends(head: str) -> None:
    """Four bytes that would be an address, behind an opcode or ModRM byte that has none there."""
    assert found("386", b"\x90" * 5 + bytes.fromhex(head) + FIELD) == []


def test_386_inside_an_address() -> None:
    # lea eax, [0x05b8c010]; the mov eax of B8 in the middle would load 0x0051..
    code = bytes.fromhex("8d 05 10 b8 51 00 50 00")
    assert found("386", code, [(0x500000, 0x520000)]) == [(2, 0x51B810)]


def page(target: int) -> int:
    return (target >> 12) - (TEXT >> 12)


def adrp(register: int, target: int) -> int:
    return 0x90000000 | (page(target) & 3) << 29 | (page(target) >> 2 & 0x7FFFF) << 5 | register


# fmt: off
ARM64 = [  # opcode, log2 of the unit of its offset
    (0x91000000, 0), (0x39400000, 0), (0x39000000, 0), (0x79400000, 1),  # add x0, xn, #; ldrb w0; strb w0; ldrh w0
    (0xB9400000, 2), (0xB9800000, 2), (0xF9400000, 3), (0xF9000000, 3),  # ldr w0; ldrsw x0; ldr x0; str x0
    (0xBD400000, 2), (0xFD400000, 3), (0x3DC00000, 4), (0x3D800000, 4),  # ldr s0; ldr d0; ldr q0; str q0
]
# fmt: on


@pytest.mark.parametrize(("opcode", "scale"), ARM64)
@pytest.mark.parametrize("target", [DATA, HIGH & ~15])
def test_arm64(opcode: int, scale: int, target: int) -> None:
    low = opcode | (target & 0xFFF) >> scale << 10 | 27 << 5
    code = words("arm64", 0xD503201F, adrp(27, target), low)  # nop first
    assert found("arm64", code) == [(4, target)]


# add x0, sp, #; add x0, x27, #1, lsl 12; add w0, w27, #0; sub x0, x27, #0; ldur x0, [x27]; orr x0, x27, x27
@pytest.mark.parametrize("low", [0x910003E0, 0x91400760, 0x11000360, 0xD1000360, 0xF8400360, 0xAA1B0360])
def test_arm64_false_friends(low: int) -> None:
    assert found("arm64", words("arm64", adrp(27, DATA), low)) == []


def test_arm_literals() -> None:
    code = words("arm", 0xE59F0004, 0xE59BB000, 0xEAFFFFFE, DATA)  # ldr r0, [pc, #4]; ldr; b .; literal
    assert found("arm", code) == [(0, DATA)]
    code = words("arm", DATA, 0x151F300C)  # ldrne r3, [pc, #-12], which is the word before
    assert found("arm", words("arm", *struct.unpack("<2I", code), 0)) == [(4, DATA)]


def test_arm_position_independent() -> None:
    # ldr r11, [pc, #4]; add r11, pc, r11; b .; what is left to add at the second
    code = words("arm", 0xE59FB004, 0xE08FB00B, 0xEAFFFFFE, DATA - (TEXT + 12))
    assert found("arm", code) == [(0, DATA)]


# ldrb r0, [pc, #4]; str r0, [pc, #4]; ldr r0, [r1, #4]; ldr r0 from between words, past the end, before the beginning
@pytest.mark.parametrize("first", [0xE5DF0004, 0xE58F0004, 0xE5910004, 0xE59F0005, 0xE59F0FF0, 0xE51F0FF0])
def test_arm_false_friends(first: int) -> None:
    assert found("arm", words("arm", first, 0, 0, DATA)) == []


def auipc(register: int, away: int) -> int:
    return (away + 0x800) & 0xFFFFF000 | register << 7 | 0x17


RISCV_LOADS = [0x0013, 0x0003, 0x2003, 0x3003, 0x4003, 0x3007]  # addi, lb, lw, ld, lbu, fld


@pytest.mark.parametrize("opcode", RISCV_LOADS)
@pytest.mark.parametrize("start", [0, 2])  # with compressed instructions, pairs begin at any half-word
@pytest.mark.parametrize("target", [DATA, HIGH])
def test_riscv64_loads(opcode: int, start: int, target: int) -> None:
    away = target - TEXT - start
    code = bytes(start) + words("riscv64", auipc(31, away), (away & 0xFFF) << 20 | 31 << 15 | 10 << 7 | opcode)
    assert found("riscv64", code) == [(start, target)]


@pytest.mark.parametrize("opcode", [0x0023, 0x3023, 0x3027])  # sb, sd, fsd
@pytest.mark.parametrize("target", [DATA, HIGH])
def test_riscv64_stores(opcode: int, target: int) -> None:
    away = target - TEXT
    low = (away >> 5 & 0x7F) << 25 | 9 << 20 | 31 << 15 | (away & 31) << 7 | opcode
    assert found("riscv64", words("riscv64", auipc(31, away), low)) == [(0, target)]


@pytest.mark.parametrize("low", [0x000F8067, 0x000F0513, 0x000FF513])  # jr t6; addi a0, t5; andi a0, t6
def test_riscv64_false_friends(low: int) -> None:
    assert found("riscv64", words("riscv64", auipc(31, DATA - TEXT), low)) == []


# addi.d, addi.w, ld.d, st.b, fld.d, fst.s, vld, vst
LOONG64 = [0x02C00000, 0x02800000, 0x28C00000, 0x29000000, 0x2B800000, 0x2B400000, 0x2C000000, 0x2C400000]


@pytest.mark.parametrize("opcode", LOONG64)
@pytest.mark.parametrize("target", [DATA, HIGH])
def test_loong64(opcode: int, target: int) -> None:
    low = opcode | (target & 0xFFF) << 10 | 20 << 5 | 4
    paged = 0x1A000000 | (page(target + 0x800) & 0xFFFFF) << 5 | 20  # pcalau12i r20
    assert found("loong64", words("loong64", 0x03400000, paged, low)) == [(4, target)]  # nop first
    assert found("loong64", words("loong64", paged, low ^ 1 << 5)) == []  # of r21
    assert found("loong64", words("loong64", paged, 0x03800284)) == []  # ori r4, r20


def test_loong64_up_to_1_20() -> None:
    away = HIGH - TEXT
    first = 0x1C000000 | (away + 0x800 >> 12 & 0xFFFFF) << 5 | 20  # pcaddu12i r20
    assert found("loong64", words("loong64", first, 0x02C00284 | (away & 0xFFF) << 10)) == [(0, HIGH)]


def upper(target: int) -> int:
    """The half that is added to the low half as a signed number."""
    return target + 0x8000 >> 16 & 0xFFFF


MIPS = [9, 32, 35, 36, 40, 43, 49, 57]  # addiu, lb, lw, lbu, sb, sw, lwc1, swc1
MIPS64 = [25, 55, 63, 53, 61]  # daddiu, ld, sd, ldc1, sdc1


@pytest.mark.parametrize("goarch", ["mips", "mipsle", "mips64", "mips64le"])
@pytest.mark.parametrize("opcode", MIPS + MIPS64)
@pytest.mark.parametrize("target", [DATA, HIGH])
def test_mips(goarch: str, opcode: int, target: int) -> None:
    lui = 0x3C000000 | 23 << 16 | upper(target)
    low = opcode << 26 | 23 << 21 | 1 << 16 | target & 0xFFFF
    assert found(goarch, words(goarch, lui, low)) == [(0, target)]
    assert found(goarch, words(goarch, lui, 0x02FCB82D, low)) == [(0, target)]  # daddu r23, r23, r28
    assert found(goarch, words(goarch, lui, 0, low)) == []
    assert found(goarch, words(goarch, lui, low ^ 1 << 21)) == []  # another register
    assert found(goarch, words(goarch, lui, 0x36E10000 | target & 0xFFFF)) == []  # ori r1, r23: a number


@pytest.mark.parametrize(("goarch", "target"), [("mips", 0x80520000), ("mips64", 0xFFFFFFFF80520000)])
def test_addresses_are_as_wide_as_the_machine_makes_them(goarch: str, target: int) -> None:
    code = words(goarch, 0x3C178052, 0x26F70000)  # lui r23, 0x8052; addiu r23, r23, 0
    assert found(goarch, code, [(target, target + 1)]) == [(0, target)]


PPC64 = [(14, 0), (32, 0), (34, 0), (36, 0), (38, 0), (40, 0), (48, 0), (50, 0), (54, 0)]  # addi, lwz to stfd
PPC64_DS = [(58, 0), (58, 2), (62, 0), (61, 1)]  # ld, lwa, std, lxv: the low bits belong to the opcode


@pytest.mark.parametrize("goarch", ["ppc64", "ppc64le"])
@pytest.mark.parametrize(("opcode", "form"), PPC64 + PPC64_DS)
@pytest.mark.parametrize("target", [DATA, HIGH & ~15])
def test_ppc64(goarch: str, opcode: int, form: int, target: int) -> None:
    low = opcode << 26 | 3 << 21 | 31 << 16 | target & 0xFFFF | form
    lis = 0x3C000000 | 31 << 21 | upper(target)
    assert found(goarch, words(goarch, lis, low)) == [(0, target)]
    assert found(goarch, words(goarch, lis | 3 << 16, low)) == []  # addis r31, r3
    assert found(goarch, words(goarch, lis, low ^ 1 << 16)) == []  # of r30
    assert found(goarch, words(goarch, lis, 0x63E30000 | target & 0xFFFF)) == []  # ori r3, r31: a number


def test_ppc64_table_of_contents() -> None:
    away = 0x530008  # from the function's entry to what R2 holds
    prologue = [0x3C4C0000 | upper(away), 0x38420000 | away & 0xFFFF]  # addis r2, r12; addi r2, r2
    offset = DATA - (TEXT + away)
    low = [0x3C620000 | upper(offset), 0x38630000 | offset & 0xFFFF]  # addis r3, r2; addi r3, r3
    assert found("ppc64le", words("ppc64le", *prologue, *low)) == [(8, DATA)]
    assert found("ppc64le", words("ppc64le", *low)) == []


@pytest.mark.parametrize(("prefix", "suffix"), [(0x06100000, 0x38600000), (0x04100000, 0xE4600000)])  # pla, pld
def test_ppc64_prefixed(prefix: int, suffix: int) -> None:
    away = DATA - TEXT - 4
    code = words("ppc64le", 0x60000000, prefix | away >> 16, suffix | away & 0xFFFF)
    assert found("ppc64le", code) == [(4, DATA)]
    assert found("ppc64le", words("ppc64le", 0x60000000, prefix ^ 1 << 20 | away >> 16, suffix | away & 0xFFFF)) == []


def long_relative(opcode: int, away: int) -> bytes:
    """s390x: opcode in bits 0-7 and 12-15, r1, and a distance in half-words."""
    return (opcode >> 4 << 40 | 1 << 36 | (opcode & 15) << 32 | away // 2 & 0xFFFFFFFF).to_bytes(6, "big")


# larl, lgrl, stgrl, lrl, strl, lgfrl, llgfrl, lghrl, llghrl, lhrl, llhrl, sthrl, cgrl
S390X = [0xC00, 0xC48, 0xC4B, 0xC4D, 0xC4F, 0xC4C, 0xC4E, 0xC44, 0xC46, 0xC45, 0xC42, 0xC47, 0xC68]


@pytest.mark.parametrize("opcode", S390X)
def test_s390x(opcode: int) -> None:
    code = b"\x07\x00" + long_relative(opcode, DATA - TEXT - 2)  # bcr first
    assert found("s390x", code) == [(2, DATA)]


@pytest.mark.parametrize("opcode", [0xC05, 0xC04, 0xC60, 0xC01])  # brasl, brcl, exrl, lgfi
def test_s390x_false_friends(opcode: int) -> None:
    assert found("s390x", long_relative(opcode, DATA - TEXT)) == []


def test_s390x_inside_an_instruction() -> None:
    load = bytes.fromhex("e310 c000 0008 91a0")  # lg-like r1, 0(r12): its second half looks like larl r0
    assert found("s390x", load, [(0, 1 << 32)]) == []
    # behind a call whose last half-word is E3.., larl is itself
    call = long_relative(0xC05, 0xE310 * 2)
    assert found("s390x", call + long_relative(0xC00, DATA - TEXT - 6)) == [(6, DATA)]


SAMPLES = {
    "386": bytes.fromhex("8d 05") + FIELD,
    "amd64": relative("48 8d 05"),
    "arm": words("arm", 0xE59F0004, 0xE59BB000, 0xEAFFFFFE, DATA),
    "arm64": words("arm64", adrp(0, DATA), 0x91000000 | (DATA & 0xFFF) << 10),
    "loong64": words("loong64", 0x1A000000 | page(DATA) << 5, 0x02C00000 | (DATA & 0xFFF) << 10),
    "ppc64": words("ppc64", 0x3C600051, 0x38632340),
    "ppc64le": words("ppc64le", 0x3C600051, 0x38632340),
    "riscv64": words("riscv64", auipc(5, DATA - TEXT), (DATA - TEXT & 0xFFF) << 20 | 5 << 15 | 0x13),
    "s390x": long_relative(0xC00, DATA - TEXT),
    **{m: words(m, 0x3C170051, 0x26F70000 | DATA & 0xFFFF) for m in ("mips", "mipsle")},
    **{m: words(m, 0x3C170051, 0x02FCB82D, 0x66F70000 | DATA & 0xFFFF) for m in ("mips64", "mips64le")},
}


@pytest.mark.parametrize("goarch", sorted(SUPPORTED))
def test_text_that_ends_anywhere(goarch: str) -> None:
    code = SAMPLES[goarch]
    whole = found(goarch, code)
    assert [target for _, target in whole] == [DATA]
    assert [found(goarch, code[:size]) for size in range(len(code))] == [[]] * len(code)


@pytest.mark.parametrize("goarch", [*sorted(SUPPORTED), "wasm", ""])
def test_nothing_to_find(goarch: str) -> None:
    assert found(goarch, b"") == []
    assert set(SAMPLES) == SUPPORTED
    assert goarch in SUPPORTED or found(goarch, SAMPLES["amd64"]) == []
    assert found(goarch, SAMPLES.get(goarch, b"\0" * 64), []) == []
    assert found(goarch, SAMPLES.get(goarch, b"\0" * 64), [(DATA, DATA), (DATA + 1, DATA)]) == []


@pytest.mark.parametrize("goarch", sorted(SUPPORTED))
@pytest.mark.parametrize("step", [4, 8, 20])
def test_chunks_change_nothing(goarch: str, step: int, monkeypatch: pytest.MonkeyPatch) -> None:
    noise = np.random.default_rng(1).integers(0, 256, 2000, np.uint8).tobytes()
    code = SAMPLES[goarch] + noise[:52] + SAMPLES[goarch] + noise
    everything = [(0, 1 << 63)]
    whole = found(goarch, code, everything)
    monkeypatch.setattr(code_references, "STEP", step)
    assert found(goarch, code, everything) == whole
    assert all(a < b for (a, _), (b, _) in pairwise(whole))


def test_ranges_apart_overlapping_and_in_any_order() -> None:
    code = relative("48 8d 05") + relative("48 8d 05", target=DATA + 16, at=7)
    both = [(3, DATA), (10, DATA + 16)]
    assert found("amd64", code, [(DATA + 16, DATA + 17), (DATA, DATA + 1)]) == both
    assert found("amd64", code, [(DATA, DATA + 8), (DATA + 4, DATA + 17), (DATA + 1, DATA + 2)]) == both
    assert found("amd64", code, [(DATA - 9, DATA), (DATA + 1, DATA + 16), (DATA + 17, DATA + 99)]) == []


@pytest.mark.parametrize("base", [0, (1 << 64) - 0x200000, 0xFFFFFFFF80000000])
def test_addresses_at_the_ends(base: int) -> None:
    """Nothing overflows, and what is there is found."""
    code = relative("48 8d 05", target=TEXT + 0x1000)
    refs = scan("amd64", "<", memoryview(code), base, [(base + 0x1000, base + 0x1001)])
    assert (refs.pc.tolist(), refs.target.tolist()) == ([base + 3], [base + 0x1000])


@pytest.mark.parametrize("goarch", sorted(SUPPORTED))
@pytest.mark.parametrize("ranges", [[(0, 1 << 64)], [((1 << 64) - 1, 1 << 64)], [(1 << 32, 1 << 63)]])
def test_hostile_ranges(goarch: str, ranges: list[tuple[int, int]]) -> None:
    noise = np.random.default_rng(2).integers(0, 256, 4096, np.uint8).tobytes()
    scan(goarch, order(goarch), memoryview(noise), (1 << 64) - 16, ranges)


@pytest.mark.parametrize("goarch", sorted(SUPPORTED))
def test_memory_stays_within_the_text(goarch: str) -> None:
    code = memoryview(np.random.default_rng(3).integers(0, 256, 24 << 20, np.uint8).tobytes())
    tracemalloc.start()
    try:
        scan(goarch, order(goarch), code, TEXT, RANGES)
        assert tracemalloc.get_traced_memory()[1] < 2 * len(code)
    finally:
        tracemalloc.stop()
