(function(){
"use strict";
var words={online:"online",chat:"free to chat",away:"away",xa:"away for longer",dnd:"do not disturb",offline:"offline",unknown:"unknown"};
var main=document.querySelector("main[data-user]");
if(!main||!window.EventSource){return;}
function tell(user){
var show=document.getElementById("show"),status=document.getElementById("status"),since=document.getElementById("since");
var word=Object.prototype.hasOwnProperty.call(words,user.show)?user.show:"unknown";
show.className="show "+word;
show.textContent=words[word];
status.textContent=user.status||"";
if(since&&user.since){since.dateTime=user.since;since.textContent=user.since.replace("T"," ").replace("Z"," UTC");}
}
var events=new EventSource("/v1/events?users="+encodeURIComponent(main.getAttribute("data-user")));
events.addEventListener("init",function(event){tell(JSON.parse(event.data)[0]);});
events.addEventListener("status",function(event){tell(JSON.parse(event.data));});
})();
