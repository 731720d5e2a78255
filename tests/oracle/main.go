// Command oracle prints what Go's own packages read in an executable, for the tests to compare with.
//
//	oracle funcs FILE [-text 0xADDR] [-pclntab OFFSET:SIZE]
//	oracle buildinfo FILE
//	oracle symbols FILE
package main

import (
	"bufio"
	"debug/buildinfo"
	"debug/elf"
	"debug/gosym"
	"debug/macho"
	"debug/pe"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"slices"
	"strconv"
	"strings"
)

type section struct {
	name       string
	addr, size uint64
	data       func() ([]byte, error)
}

type symbol struct {
	name       string
	addr, size uint64
	kind       string
}

// image is what the three formats have in common.
type image struct {
	sections []section
	symbols  []symbol
}

func open(path string) (*image, error) {
	if f, err := elf.Open(path); err == nil {
		return fromELF(f)
	}
	if f, err := macho.Open(path); err == nil {
		return fromMachO(f), nil
	}
	if f, err := pe.Open(path); err == nil {
		return fromPE(f), nil
	}
	return nil, errors.New("neither ELF, thin Mach-O nor PE")
}

func fromELF(f *elf.File) (*image, error) {
	img := &image{}
	for _, s := range f.Sections {
		img.sections = append(img.sections, section{s.Name, s.Addr, s.Size, s.Data})
	}
	symbols, err := f.Symbols()
	if err != nil && !errors.Is(err, elf.ErrNoSymbols) {
		return nil, err
	}
	for _, s := range symbols {
		kind := strings.TrimPrefix(elf.ST_TYPE(s.Info).String(), "STT_")
		img.symbols = append(img.symbols, symbol{s.Name, s.Value, s.Size, kind})
	}
	return img, nil
}

func fromMachO(f *macho.File) *image {
	img := &image{}
	for _, s := range f.Sections {
		img.sections = append(img.sections, section{s.Name, s.Addr, s.Size, s.Data})
	}
	if f.Symtab == nil {
		return img
	}
	for _, s := range f.Symtab.Syms {
		kind := fmt.Sprintf("0x%02x", s.Type)
		img.symbols = append(img.symbols, symbol{strings.TrimPrefix(s.Name, "_"), s.Value, 0, kind})
	}
	return img
}

func fromPE(f *pe.File) *image {
	img := &image{}
	var base uint64
	switch header := f.OptionalHeader.(type) {
	case *pe.OptionalHeader32:
		base = uint64(header.ImageBase)
	case *pe.OptionalHeader64:
		base = header.ImageBase
	}
	for _, s := range f.Sections {
		img.sections = append(img.sections, section{s.Name, base + uint64(s.VirtualAddress), uint64(s.Size), s.Data})
	}
	for _, s := range f.Symbols {
		addr := uint64(s.Value)
		if n := int(s.SectionNumber); n > 0 && n <= len(f.Sections) {
			addr += base + uint64(f.Sections[n-1].VirtualAddress)
		}
		img.symbols = append(img.symbols, symbol{s.Name, addr, 0, strconv.Itoa(int(s.StorageClass))})
	}
	return img
}

func (img *image) section(names ...string) *section {
	for i := range img.sections {
		if slices.Contains(names, img.sections[i].name) {
			return &img.sections[i]
		}
	}
	return nil
}

func (img *image) symbol(name string) (uint64, bool) {
	for _, s := range img.symbols {
		if s.name == name {
			return s.addr, true
		}
	}
	return 0, false
}

// read returns size bytes at an address, or all up to the section's end where size is 0.
func (img *image) read(addr, size uint64) ([]byte, error) {
	for _, s := range img.sections {
		if addr < s.addr || addr >= s.addr+s.size {
			continue
		}
		data, err := s.data()
		if err != nil {
			return nil, err
		}
		data = data[min(addr-s.addr, uint64(len(data))):]
		if size != 0 && size < uint64(len(data)) {
			data = data[:size]
		}
		return data, nil
	}
	return nil, fmt.Errorf("no section has %#x", addr)
}

func (img *image) pclntab() ([]byte, error) {
	if s := img.section(".gopclntab", ".data.rel.ro.gopclntab", "__gopclntab"); s != nil {
		return s.data()
	}
	start, found := img.symbol("runtime.pclntab")
	if !found {
		return nil, errors.New("no pclntab by section or symbol: give -pclntab")
	}
	if end, found := img.symbol("runtime.epclntab"); found {
		return img.read(start, end-start)
	}
	return img.read(start, 0)
}

func (img *image) textStart() (uint64, error) {
	if addr, found := img.symbol("runtime.text"); found {
		return addr, nil
	}
	if s := img.section(".text", "__text"); s != nil {
		return s.addr, nil
	}
	return 0, errors.New("no start of text by symbol or section: give -text")
}

func cut(path, place string) ([]byte, error) {
	first, second, _ := strings.Cut(place, ":")
	offset, err := strconv.ParseInt(first, 0, 64)
	if err != nil {
		return nil, err
	}
	size, err := strconv.ParseInt(second, 0, 64)
	if err != nil {
		return nil, err
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(io.NewSectionReader(f, offset, size))
}

func lineTable(path, text, place string) (*gosym.LineTable, error) {
	img, err := open(path)
	if err != nil {
		img = &image{}
	}
	var data []byte
	if place != "" {
		data, err = cut(path, place)
	} else {
		data, err = img.pclntab()
	}
	if err != nil {
		return nil, err
	}
	var start uint64
	if text != "" {
		start, err = strconv.ParseUint(text, 0, 64)
	} else {
		start, err = img.textStart()
	}
	return gosym.NewLineTable(data, start), err
}

func funcs(out io.Writer, path string, arguments []string) error {
	flags := flag.NewFlagSet("funcs", flag.ContinueOnError)
	text := flags.String("text", "", "address of the start of text")
	place := flags.String("pclntab", "", "OFFSET:SIZE of the pclntab in the file")
	if err := flags.Parse(arguments); err != nil {
		return err
	}
	lines, err := lineTable(path, *text, *place)
	if err != nil {
		return err
	}
	table, err := gosym.NewTable(nil, lines)
	if err != nil {
		return err
	}
	for i := range table.Funcs {
		f := &table.Funcs[i]
		file, line, _ := table.PCToLine(f.Entry)
		fmt.Fprintf(out, "%d\t%d\t%s\t%s\t%d\n", f.Entry, f.End, f.Name, file, line)
	}
	return nil
}

func buildInfo(out io.Writer, path string) error {
	info, err := buildinfo.ReadFile(path)
	if err != nil {
		return err
	}
	return json.NewEncoder(out).Encode(info)
}

func symbols(out io.Writer, path string) error {
	img, err := open(path)
	if err != nil {
		return err
	}
	for _, s := range img.symbols {
		fmt.Fprintf(out, "%s\t%d\t%d\t%s\n", s.name, s.addr, s.size, s.kind)
	}
	return nil
}

func run(arguments []string) error {
	if len(arguments) < 2 {
		return errors.New("usage: oracle funcs|buildinfo|symbols FILE [flags]")
	}
	out := bufio.NewWriter(os.Stdout)
	defer out.Flush()
	switch path := arguments[1]; arguments[0] {
	case "funcs":
		return funcs(out, path, arguments[2:])
	case "buildinfo":
		return buildInfo(out, path)
	case "symbols":
		return symbols(out, path)
	}
	return fmt.Errorf("no such subcommand: %s", arguments[0])
}

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "oracle:", err)
		os.Exit(1)
	}
}
