module oracle_dwarf

go 1.21
