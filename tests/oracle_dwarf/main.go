// Command oracle_dwarf prints what debug/dwarf reads of an executable's compile units, one JSON object a line.
//
//	oracle_dwarf FILE
package main

import (
	"bufio"
	"debug/dwarf"
	"debug/elf"
	"debug/macho"
	"debug/pe"
	"encoding/json"
	"fmt"
	"io"
	"os"
)

type unit struct {
	Offset   uint32
	Language int64
	Producer string
	Name     string
	CompDir  string
	StmtList int64 // -1: none
	LowPC    uint64
	Files    []string
	Error    string
}

func open(path string) (*dwarf.Data, error) {
	if f, err := elf.Open(path); err == nil {
		return f.DWARF()
	}
	if f, err := macho.Open(path); err == nil {
		return f.DWARF()
	}
	f, err := pe.Open(path)
	if err != nil {
		return nil, err
	}
	return f.DWARF()
}

func describe(data *dwarf.Data, entry *dwarf.Entry) unit {
	u := unit{Offset: uint32(entry.Offset), StmtList: -1}
	u.Language, _ = entry.Val(dwarf.AttrLanguage).(int64)
	u.Producer, _ = entry.Val(dwarf.AttrProducer).(string)
	u.Name, _ = entry.Val(dwarf.AttrName).(string)
	u.CompDir, _ = entry.Val(dwarf.AttrCompDir).(string)
	u.LowPC, _ = entry.Val(dwarf.AttrLowpc).(uint64)
	if at, ok := entry.Val(dwarf.AttrStmtList).(int64); ok {
		u.StmtList = at
	}
	lines, err := data.LineReader(entry)
	if err != nil {
		u.Error = err.Error()
	}
	if lines == nil {
		return u
	}
	for _, file := range lines.Files() {
		if file != nil {
			u.Files = append(u.Files, file.Name)
		}
	}
	return u
}

func run(path string, out io.Writer) error {
	data, err := open(path)
	if err != nil {
		return err
	}
	encoder := json.NewEncoder(out)
	for reader := data.Reader(); ; reader.SkipChildren() {
		entry, err := reader.Next()
		if err != nil || entry == nil {
			return err
		}
		if entry.Tag != dwarf.TagCompileUnit {
			continue
		}
		if err := encoder.Encode(describe(data, entry)); err != nil {
			return err
		}
	}
}

func main() {
	out := bufio.NewWriter(os.Stdout)
	err := run(os.Args[1], out)
	if flushed := out.Flush(); err == nil {
		err = flushed
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
