package main

import (
	"encoding/json"
	"fmt"
	"html"
	"net/http"
	"strings"
)

func restError(answer http.ResponseWriter, status int, kind, message string) {
	answer.Header().Set("Content-Type", "application/json")
	answer.WriteHeader(status)
	_ = json.NewEncoder(answer).Encode(map[string]interface{}{
		"type":  "com.vmware.vapi.std.errors." + kind,
		"value": map[string]interface{}{"messages": []map[string]string{{"default_message": message}}},
	})
}

// refuse answers as the service does when something inside it is wrong.
func refuse(answer http.ResponseWriter, request *http.Request) {
	switch {
	case request.URL.Path == "/sdk":
		soapError(answer, "SystemError", "A general system error occurred: on demand", "<reason>on demand</reason>")
	case strings.HasPrefix(request.URL.Path, "/rest/"):
		restError(answer, http.StatusInternalServerError, "internal_server_error", "on demand")
	default:
		http.Error(answer, "on demand", http.StatusInternalServerError)
	}
}

// soapError answers with a fault of vim25; detail is the content of its element.
func soapError(answer http.ResponseWriter, kind, message, detail string) {
	answer.Header().Set("Content-Type", "text/xml")
	answer.WriteHeader(http.StatusInternalServerError)
	fmt.Fprintf(answer, `<?xml version="1.0" encoding="UTF-8"?>
<soapenv:Envelope xmlns:soapenv="http://schemas.xmlsoap.org/soap/envelope/" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance">
<soapenv:Body><soapenv:Fault><faultcode>ServerFaultCode</faultcode><faultstring>%s</faultstring>
<detail><%sFault xmlns="urn:vim25" xsi:type="%s">%s</%sFault></detail></soapenv:Fault></soapenv:Body></soapenv:Envelope>`,
		html.EscapeString(message), kind, kind, detail, kind)
}
