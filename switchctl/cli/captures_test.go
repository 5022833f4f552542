package cli

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"airlock/switchctl"
)

// TestCaptures reads what real switches printed, which is not ours to keep here:
// AIRLOCK_SWITCHDATA names the folder. Wanted are the numbers of interfaces, of those
// told to be up and down, of those that are up, and of physical ports.
func TestCaptures(t *testing.T) {
	folder := os.Getenv("AIRLOCK_SWITCHDATA")
	if folder == "" {
		t.Skip("AIRLOCK_SWITCHDATA names no folder of captures")
	}
	for file, want := range map[string]string{
		"huawei_vrp:huawei_vrp/display_interface__3.txt":                                  "5: 5 up, 0 down; 5 link; 2 physical",
		"huawei_vrp:huawei_vrp/display_interface__6.txt":                                  "6: 6 up, 0 down; 3 link; 6 physical",
		"extreme_exos:extreme_exos/show_ports_information.txt":                            "48: 40 up, 8 down; 19 link; 38 physical",
		"cisco_cbs:cisco_s300/show_interfaces_status.txt":                                 "36: 0 up, 0 down; 8 link; 28 physical",
		"cisco_cbs:cisco_s300/show_interfaces_description.txt":                            "13: 0 up, 0 down; 0 link; 13 physical",
		"mikrotik_routeros:mikrotik_routeros/interface_print_terse_without-paging.txt":    "11: 9 up, 2 down; 4 link; 3 physical",
		"mikrotik_routeros:mikrotik_routeros/interface_print_terse_without-paging__2.txt": "9: 9 up, 0 down; 5 link; 6 physical",
		"awplus:alliedware_plus/show_interface__2.txt":                                    "9: 9 up, 0 down; 9 link; 1 physical",
		"cisco_iosxe:cisco_ios/show_interfaces__2.txt":                                    "56: 56 up, 0 down; 29 link; 52 physical",
		"cisco_iosxe:cisco_ios/show_interfaces__5.txt":                                    "2: 2 up, 0 down; 2 link; 0 physical",
		"cisco_iosxe:cisco_ios/show_interfaces__6.txt":                                    "4: 0 up, 4 down; 0 link; 4 physical",
		"arista_eos:arista_eos/show_interfaces.txt":                                       "7: 6 up, 1 down; 4 link; 3 physical",
		"arista_eos:arista_eos/show_interfaces__2.txt":                                    "8: 8 up, 0 down; 8 link; 4 physical",
		"arista_eos:arista_eos/show_interfaces__4.txt":                                    "13: 13 up, 0 down; 7 link; 6 physical",
		"cisco_nxos:cisco_nxos/show_interface.txt":                                        "3: 2 up, 0 down; 2 link; 1 physical",
		"cisco_nxos:cisco_nxos/show_interface__10.txt":                                    "1: 1 up, 0 down; 1 link; 0 physical",
		"cisco_nxos:cisco_nxos/show_interface__11.txt":                                    "2: 1 up, 1 down; 0 link; 1 physical",
		"cisco_nxos:cisco_nxos/show_interface__12.txt":                                    "1: 1 up, 0 down; 1 link; 1 physical",
		"cisco_nxos:cisco_nxos/show_interface__13.txt":                                    "1: 1 up, 0 down; 1 link; 0 physical",
		"cisco_nxos:cisco_nxos/show_interface__3.txt":                                     "2: 0 up, 0 down; 0 link; 0 physical",
		"cisco_nxos:cisco_nxos/show_interface__6.txt":                                     "1: 1 up, 0 down; 1 link; 0 physical",
		"cisco_nxos:cisco_nxos/show_interface__8.txt":                                     "3: 3 up, 0 down; 3 link; 3 physical",
		"cisco_nxos:cisco_nxos/show_interface__9.txt":                                     "8: 6 up, 2 down; 5 link; 5 physical",
		"aruba_aoscx:aruba_aoscx/show_interface__2.txt":                                   "2: 2 up, 0 down; 2 link; 2 physical",
		"aruba_aoscx:aruba_aoscx/show_interface__3.txt":                                   "6: 6 up, 0 down; 6 link; 3 physical",
		"aruba_aoscx:aruba_aoscx/show_interface__4.txt":                                   "6: 6 up, 0 down; 3 link; 5 physical",
		"juniper_junos:juniper_junos/show_interfaces.txt":                                 "7: 7 up, 0 down; 7 link; 1 physical",
		"juniper_junos:juniper_junos/show_interfaces__2.txt":                              "1: 1 up, 0 down; 1 link; 1 physical",
		"hp_procurve:hp_procurve/show_interfaces_brief__4.txt":                            "24: 23 up, 1 down; 1 link; 24 physical",
		"hp_procurve:hp_procurve/show_interfaces_brief__5.txt":                            "17: 15 up, 2 down; 12 link; 16 physical",
		"hp_procurve:hp_procurve/show_interfaces_brief__6.txt":                            "21: 21 up, 0 down; 15 link; 19 physical",
		"hp_comware:hp_comware/display_interface.txt":                                     "4: 4 up, 0 down; 2 link; 1 physical",
		"hp_comware:hp_comware/display_interface__11.txt":                                 "1: 1 up, 0 down; 1 link; 0 physical",
		"hp_comware:hp_comware/display_interface__13.txt":                                 "2: 2 up, 0 down; 2 link; 1 physical",
		"hp_comware:hp_comware/display_interface__16.txt":                                 "1: 1 up, 0 down; 1 link; 0 physical",
		"hp_comware:hp_comware/display_interface__17.txt":                                 "1: 1 up, 0 down; 1 link; 0 physical",
		"hp_comware:hp_comware/display_interface__19.txt":                                 "2: 1 up, 1 down; 0 link; 2 physical",
		"hp_comware:hp_comware/display_interface__2.txt":                                  "1: 1 up, 0 down; 1 link; 0 physical",
		"hp_comware:hp_comware/display_interface__20.txt":                                 "1: 1 up, 0 down; 0 link; 1 physical",
		"hp_comware:hp_comware/display_interface__4.txt":                                  "2: 2 up, 0 down; 1 link; 0 physical",
		"hp_comware:hp_comware/display_interface__5.txt":                                  "2: 1 up, 1 down; 1 link; 2 physical",
		"hp_comware:hp_comware/display_interface__8.txt":                                  "2: 2 up, 0 down; 2 link; 0 physical",
	} {
		platform, _, _ := strings.Cut(file, ":")
		name := strings.TrimPrefix(file, platform+":")
		p, err := Load("", platform)
		if err != nil {
			t.Fatal(err)
		}
		text, err := os.ReadFile(filepath.Join(folder, "cli", name))
		if err != nil {
			t.Fatal(err)
		}
		p.List = p.List[table(name):]
		if got := p.summary(strings.ReplaceAll(string(text), "\r", "")); got != want {
			t.Errorf("%q: %q, want %q", file, got, want)
		}
	}
}

// table is which of a platform's tables a capture is of.
func table(file string) int {
	switch file {
	case "cisco_s300/show_interfaces_status.txt":
		return 1
	case "cisco_s300/show_interfaces_description.txt":
		return 2
	}
	return 0
}

func (p *Platform) summary(output string) string {
	var rows, up, down, link, physical int
	for _, f := range p.List[0].records(output) {
		f["name"] = rename(p.Long, f["name"])
		e, err := p.entry(f)
		if err != nil {
			return err.Error()
		}
		rows++
		switch e.row.Admin {
		case switchctl.AdminUp:
			up++
		case switchctl.AdminDown:
			down++
		}
		if e.row.Oper == switchctl.OperUp {
			link++
		}
		if e.row.Type == 6 {
			physical++
		}
	}
	return fmt.Sprintf("%d: %d up, %d down; %d link; %d physical", rows, up, down, link, physical)
}

// TestLayouts reads what other series and firmware of a platform print than its screens.
func TestLayouts(t *testing.T) {
	for platform, c := range map[string]struct{ output, want string }{
		"alaxala": {`Switch 1 (Master)
-----------------
Date 2026/11/22 23:10:44 JST
Port Counts: 3
Port  Name           Status   Speed           Duplex     FCtl FrLen ChGr/Status
 0/ 1 tengeth1/0/1   up       10GBASE-SR      full       off   1518   1/up
 0/ 2 tengeth1/0/2   inact    -               -          -     -      -/-
 0/ 3 geth1/0/3      dis      -               -          -     -      -/-
`, "3: 2 up, 1 down; 1 link; 3 physical"},
		"dlink": {` 1 (C)   Enabled     Auto/Disabled          LinkDown                 Enabled     Enabled
 1 (F)   Disabled    Auto/Disabled          LinkDown                 Enabled     Enabled
         Desc:
 2       Enabled     100M/Full/Disabled     100M/Full/None           Enabled
         Auto
         Description: vault
 25      Enabled     Auto/Enabled           Err-Disabled             Enabled
`, "4: 3 up, 1 down; 1 link; 4 physical"},
		"yamaha_swx": {`Interface vlan1
  Link is UP
Interface po1
  Link is DOWN
Interface port1.1
  Link is UP
`, "3: 0 up, 0 down; 2 link; 1 physical"},
	} {
		p, err := Load("", platform)
		if err != nil {
			t.Fatal(err)
		}
		if got := p.summary(c.output); got != c.want {
			t.Errorf("%s: %q, want %q", platform, got, c.want)
		}
	}
}
