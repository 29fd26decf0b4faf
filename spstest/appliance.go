package spstest

import (
	"crypto/sha256"
	"encoding/hex"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
)

// Product is an entry in the list of integrated products.
type Product struct {
	Name      string  `json:"name"`      // the name of the product, for example "Defender"
	Link      *string `json:"link"`      // the URL of the product; nil if it is not integrated
	Activated bool    `json:"activated"` // true if the product is integrated
}

func linked(link string) *string { return &link }

// ProductsStarling returns the products of an appliance that is joined to Starling. None
// of them is integrated.
func ProductsStarling() []Product {
	return []Product{{Name: "Defender"}, {Name: "Connect"}, {Name: "Governance"}, {Name: "RemoteAccess"}}
}

// ProductsStarlingIntegrated returns the products of an appliance that is joined to
// Starling. Some of them are integrated.
func ProductsStarlingIntegrated() []Product {
	return []Product{
		{Name: "Defender", Link: linked("https://2fa.cloud.oneidentity.com"), Activated: true},
		{Name: "Connect", Link: linked("https://connect.cloud.oneidentity.com"), Activated: true},
		{Name: "Governance"},
	}
}

// ProductsPasswords returns the products of an appliance that is joined to Safeguard for
// Privileged Passwords.
func ProductsPasswords() []Product {
	return []Product{{Name: "Safeguard for Privileged Passwords", Link: linked("https://10.10.10.10"), Activated: true}}
}

// The warnings that SPS can send with the list of integrated products.
const (
	StarlingUnavailable = "Information about the integrated Starling products cannot be retrieved.\nCheck the following:\n" +
		"- The Starling cloud service is available.\n- Your SPS appliance is connected to the Internet."
	StarlingCredentialsInvalid = "The credentials used for accessing Starling are invalid. This may happen because SPS was " +
		"un-joined from Starling and restored to a previous joined state. Re-join the SPS to get valid credentials."
)

// WithProducts sets the integrated products. By default, the list is empty. It has
// [ProductsStarling] while the appliance is joined to Starling, and [ProductsPasswords]
// after a POST of cluster/spp.
func WithProducts(products ...Product) Option {
	return func(a *Appliance) error { a.products = append([]Product{}, products...); return nil }
}

// SetProducts sets the integrated products and the warning that is sent with them. ""
// means no warning.
func (a *Appliance) SetProducts(products []Product, warning string) {
	a.enter()
	defer a.mu.Unlock()
	a.products, a.productWarn = append([]Product{}, products...), warning
}

// usualProducts returns the products of an appliance whose products were not set by a
// test.
func (a *Appliance) usualProducts() (products []Product) {
	if a.passwords != "" {
		products = ProductsPasswords()
		products[0].Link = linked("https://" + a.passwords)
	}
	if a.committed.starling().JoinInfo != nil {
		products = append(products, ProductsStarling()...)
	}
	return products
}

func (a *Appliance) getProducts(x *exchange) answer {
	place := a.variant("product-warnings")
	if status, isError := strings.CutPrefix(place, "error:"); isError && a.productWarn != "" {
		code, _ := strconv.Atoi(status)
		return x.fail(code, "IntegratedProductsError", a.productWarn, nil)
	}
	products := a.products
	if products == nil {
		products = a.usualProducts()
	}
	items := make([]object, len(products))
	for i, p := range products {
		items[i] = object{"name": p.Name, "link": p.Link, "activated": p.Activated}
	}
	meta := x.meta()
	body := object{"items": items, "meta": meta}
	if a.productWarn == "" {
		return reply(http.StatusOK, body)
	}
	in := body
	member, inMeta := strings.CutPrefix(place, "meta.")
	if inMeta {
		in = meta
	}
	switch member {
	case "warnings":
		in[member] = []string{a.productWarn}
	case "warning", "message":
		in[member] = a.productWarn
	default:
		in["issues"] = object{"warnings": []object{{"message": a.productWarn, "paths": []string{href(x.path)}}}}
	}
	return reply(http.StatusOK, body)
}

func (a *Appliance) getRoot(x *exchange) answer {
	var items []object
	for _, section := range []string{"authentication", "configuration", "firmware", "health_status", "info", "integrated_products", "setup", "transaction", "user_info"} {
		items = append(items, object{"key": section, "meta": object{"href": href(section)}})
	}
	return reply(http.StatusOK, object{"items": items, "meta": x.meta()})
}

// getInfo answers without a login, and returns more members if the request has a live
// session. An ended session is not an error: its request gets the members of a request
// without a login.
func (a *Appliance) getInfo(x *exchange) answer {
	named := a.committed.naming()
	body := object{
		"domainname":   named.Domain,
		"hostname":     named.Host,
		"nickname":     named.Nickname,
		"support_link": "mailto:sps-administrator@example.com",
	}
	if a.profile.pluginSDK {
		body["plugin_sdk_version"] = object{"feature": "1.4", "full": "1.4.4"}
	}
	meta := x.meta()
	if x.session != nil {
		version := a.currentVersion()
		maps.Copy(body, object{
			"analytics_enabled": false,
			"build_date":        a.buildDate(),
			"config_hash":       a.configHash(),
			"firmware_version":  version,
			"roles":             []string{"central-management", "search-master"},
			"version":           marketingVersion(version),
		})
		if a.variant("remaining-seconds") != "none" {
			meta["remaining_seconds"] = x.session.remaining()
		}
	}
	return reply(http.StatusOK, object{"body": body, "key": "about_info", "meta": meta})
}

// configHash returns a hash of the committed configuration, with 32 hexadecimal digits.
func (a *Appliance) configHash() string {
	h := sha256.New()
	for _, p := range slices.Sorted(maps.Keys(a.committed.bodies)) {
		h.Write([]byte(p))
		h.Write(a.committed.bodies[p])
	}
	return hex.EncodeToString(h.Sum(nil))[:32]
}

// marketingVersion returns the short form of a version: "5 F7" for 5.7.0, and "6 LTS" for
// 6.0.4.
func marketingVersion(version string) string {
	parts := strings.Split(version, ".")
	switch {
	case len(parts) < 2:
		return version
	case parts[1] == "0":
		return parts[0] + " LTS"
	default:
		return parts[0] + " F" + parts[1]
	}
}

func (a *Appliance) getUserInfo(x *exchange) answer {
	info := object{"user": object{"name": x.session.user.name}}
	meta := object{"href": "/api/user_info", "parent": "/api"}
	if a.profile.oldUserInfo {
		info["endpoints"] = x.session.user.endpoints()
		info["meta"] = meta
		return reply(http.StatusOK, info)
	}
	info["login_method"] = x.session.method
	info["token"] = x.session.token
	if a.variant("user-info-place") == "body" {
		return reply(http.StatusOK, object{"body": info, "key": "user_info", "meta": meta})
	}
	info["meta"] = meta
	return reply(http.StatusOK, info)
}
