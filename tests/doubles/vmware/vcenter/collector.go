package main

import (
	"fmt"

	"github.com/vmware/govmomi/simulator"
	"github.com/vmware/govmomi/vim25/methods"
	"github.com/vmware/govmomi/vim25/soap"
	"github.com/vmware/govmomi/vim25/types"
)

// pageLimit is the most objects that an answer holds, whatever the client would take. A session makes its collector from
// nothing but the type, so it stands here.
var pageLimit int

// collector gives its answers in pages.
type collector struct {
	simulator.PropertyCollector
	pages map[string][]types.ObjectContent
	count int
}

func (c *collector) RetrievePropertiesEx(ctx *simulator.Context, req *types.RetrievePropertiesEx) soap.HasFault {
	body := c.PropertyCollector.RetrievePropertiesEx(ctx, req).(*methods.RetrievePropertiesExBody)
	if body.Fault_ == nil && body.Res.Returnval != nil {
		body.Res.Returnval = c.page(body.Res.Returnval.Objects, req.Options.MaxObjects)
	}
	return body
}

func (c *collector) ContinueRetrievePropertiesEx(req *types.ContinueRetrievePropertiesEx) soap.HasFault {
	body := &methods.ContinueRetrievePropertiesExBody{}
	rest, ok := c.pages[req.Token]
	if !ok {
		body.Fault_ = simulator.Fault("", &types.InvalidArgument{InvalidProperty: "token"})
		return body
	}
	delete(c.pages, req.Token)
	body.Res = &types.ContinueRetrievePropertiesExResponse{Returnval: *c.page(rest, 0)}
	return body
}

func (c *collector) page(objects []types.ObjectContent, most int32) *types.RetrieveResult {
	limit := pageLimit
	if most > 0 && int(most) < limit {
		limit = int(most)
	}
	if len(objects) <= limit {
		return &types.RetrieveResult{Objects: objects}
	}
	if c.pages == nil {
		c.pages = map[string][]types.ObjectContent{}
	}
	c.count++
	token := fmt.Sprint(c.count)
	c.pages[token] = objects[limit:]
	return &types.RetrieveResult{Token: token, Objects: objects[:limit]}
}
