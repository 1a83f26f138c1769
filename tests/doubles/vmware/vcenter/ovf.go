package main

import (
	"encoding/xml"
	"strings"

	"github.com/vmware/govmomi/simulator"
	"github.com/vmware/govmomi/vim25/methods"
	"github.com/vmware/govmomi/vim25/soap"
	"github.com/vmware/govmomi/vim25/types"
)

// ovfManager also reads what the simulator leaves out of a descriptor: firmware, properties, product, transport.
type ovfManager struct{ simulator.OvfManager }

type element struct {
	XMLName  xml.Name
	Attrs    []xml.Attr `xml:",any,attr"`
	Text     string     `xml:",chardata"`
	Elements []element  `xml:",any"`
}

func (e *element) attr(name string) string {
	for _, attr := range e.Attrs {
		if attr.Name.Local == name {
			return attr.Value
		}
	}
	return ""
}

// all finds the elements called `name` below e, at any depth, in the order of the document.
func (e *element) all(name string) []*element {
	var found []*element
	for number := range e.Elements {
		child := &e.Elements[number]
		if child.XMLName.Local == name {
			found = append(found, child)
		}
		found = append(found, child.all(name)...)
	}
	return found
}

func (e *element) text(name string) string {
	for _, found := range e.all(name) {
		return strings.TrimSpace(found.Text)
	}
	return ""
}

func (m *ovfManager) CreateImportSpec(ctx *simulator.Context, req *types.CreateImportSpec) soap.HasFault {
	var envelope element
	if err := xml.Unmarshal([]byte(req.OvfDescriptor), &envelope); err != nil {
		fault := simulator.Fault(err.Error(), &types.InvalidArgument{InvalidProperty: "ovfDescriptor"})
		return &methods.CreateImportSpecBody{Fault_: fault}
	}
	// The simulator would make extra configuration of them.
	mapping := req.Cisp.PropertyMapping
	req.Cisp.PropertyMapping = nil
	body := m.OvfManager.CreateImportSpec(ctx, req).(*methods.CreateImportSpecBody)
	if body.Fault_ != nil {
		return body
	}
	result := &body.Res.Returnval
	result.Error = append(result.Error, problems(&envelope, req)...)
	if len(result.Error) > 0 {
		result.ImportSpec = nil
		return body
	}
	spec := &result.ImportSpec.(*types.VirtualMachineImportSpec).ConfigSpec
	for _, config := range envelope.all("Config") {
		if config.attr("key") == "firmware" {
			spec.Firmware = config.attr("value")
		}
	}
	spec.Annotation = envelope.text("Annotation")
	app := appSpec(&envelope)
	for _, property := range app.Property {
		for _, given := range mapping {
			if given.Key == property.Info.Id {
				property.Info.Value = given.Value
			}
		}
	}
	spec.VAppConfig = app
	thin := req.Cisp.DiskProvisioning == "thin"
	for _, change := range spec.DeviceChange {
		if disk, ok := change.GetVirtualDeviceConfigSpec().Device.(*types.VirtualDisk); ok {
			disk.Backing.(*types.VirtualDiskFlatVer2BackingInfo).ThinProvisioned = types.NewBool(thin)
		}
	}
	return body
}

// problems are what vCenter finds wrong: networks and deployment options that the descriptor does not have.
func problems(envelope *element, req *types.CreateImportSpec) []types.LocalizedMethodFault {
	var found []types.LocalizedMethodFault
	has := func(kind, attribute, value string) bool {
		for _, item := range envelope.all(kind) {
			if item.attr(attribute) == value {
				return true
			}
		}
		return false
	}
	for _, mapping := range req.Cisp.NetworkMapping {
		if !has("Network", "name", mapping.Name) {
			fault := &types.OvfNetworkMappingNotSupported{}
			found = append(found, types.LocalizedMethodFault{Fault: fault, LocalizedMessage: "No network " + mapping.Name})
		}
	}
	if option := req.Cisp.DeploymentOption; option != "" && !has("Configuration", "id", option) {
		fault := &types.OvfInvalidValue{}
		found = append(found, types.LocalizedMethodFault{Fault: fault, LocalizedMessage: "No deployment option " + option})
	}
	return found
}

func appSpec(envelope *element) *types.VmConfigSpec {
	spec := &types.VmConfigSpec{}
	added := types.ArrayUpdateSpec{Operation: types.ArrayUpdateOperationAdd}
	for _, section := range envelope.all("VirtualHardwareSection") {
		spec.OvfEnvironmentTransport = strings.Fields(section.attr("transport"))
	}
	for key, section := range envelope.all("ProductSection") {
		spec.Product = append(spec.Product, types.VAppProductSpec{ArrayUpdateSpec: added, Info: &types.VAppProductInfo{
			Key: int32(key), Name: section.text("Product"), Vendor: section.text("Vendor"),
			Version: section.text("Version"), FullVersion: section.text("FullVersion"),
		}})
		category := ""
		for number := range section.Elements {
			child := &section.Elements[number]
			switch child.XMLName.Local {
			case "Category":
				category = child.Text
			case "Property":
				spec.Property = append(spec.Property, types.VAppPropertySpec{ArrayUpdateSpec: added, Info: &types.VAppPropertyInfo{
					Key: int32(number), Id: child.attr("key"), Category: category, Label: child.text("Label"),
					Type: child.attr("type"), DefaultValue: child.attr("value"), Description: child.text("Description"),
					UserConfigurable: types.NewBool(child.attr("userConfigurable") == "true"),
				}})
			}
		}
	}
	return spec
}
